"""Sockets that are bound to one of our own addresses."""

import logging
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address

from mta.model.domain import Host
from mta.model.source import Source

from mta.rules.delivery.sources import sources_for

log = logging.getLogger(__name__)

# The port is chosen when it is known where to: as many connections as one address has ports go
# to each destination, not to all together (ip(7); the socket module has no name for it).
_BIND_ADDRESS_NO_PORT = 24


class Origins:
    """Our addresses that connections come from. One that cannot be used is told of once."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)
        self._unusable: set[Source] = set()

    def __bool__(self) -> bool:
        return bool(self._sources)

    def socket_to(self, host: Host) -> tuple[socket.socket, Source]:
        """A socket bound to the first address for this host that can be used, and which it is.

        Raises OSError, with words, where none can.
        """
        version = ip_address(host.address).version
        candidates = sources_for(self._sources, host.name, version)
        if not candidates:
            raise OSError(f"none of our source addresses is IPv{version}")
        for source in candidates:
            sock = self._bound(source)
            if sock is not None:
                return sock, source
        raise OSError(f"none of our IPv{version} source addresses can be used, see the log")

    def _bound(self, source: Source) -> socket.socket | None:
        family = socket.AF_INET6 if source.version == 6 else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        try:
            sock.bind((source.address, 0))
        except OSError as error:
            sock.close()
            self._miss(source, error)
            return None
        self._find(source)
        return sock

    def _miss(self, source: Source, error: OSError) -> None:
        if source not in self._unusable:
            self._unusable.add(source)
            reason = os.strerror(error.errno) if error.errno else str(error)
            log.error("no mail goes out from %s: %s", source.address, reason)

    def _find(self, source: Source) -> None:
        if source in self._unusable:
            self._unusable.remove(source)
            log.info("mail goes out from %s again", source.address)
