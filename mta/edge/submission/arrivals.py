"""Connections that are to become sessions, where something comes first: TLS, or a PROXY header.

An asyncio server would shake hands before we hear of a client, uncounted and with the certificate
that it began with; it would greet before a proxy has said for whom it connects; and it does not
say who is at the other end of a Unix socket.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Protocol

from mta.model.listener import TlsStart
from mta.model.outcome import Reply

from mta.rules.submission.proxyheader import Malformed, Partial, parse_proxy_header

from mta.edge.submission.entrance import UNIX_CLIENT, Entrance
from mta.edge.submission.link import client_of
from mta.edge.submission.session import Session

_log = logging.getLogger(__name__)

_ACCEPT_PAUSE_SECONDS = 1.0
_COMPLAINT_SECONDS = 60.0  # between two complaints about proxies at one listener

_UNANNOUNCED = "?"  # a client whose proxy has not said yet who it is
_CREDENTIALS = struct.Struct("3i")  # process, user, group: ucred in unix(7)


class House(Protocol):
    """Who knows how many are inside."""

    def objection(self, entrance: Entrance, client: str) -> Reply | None:
        """Why nobody more may come in from this address."""

    def has_room(self) -> bool:
        """Whether anybody may come in at all."""

    def enter(self, client: str) -> None:
        """Count a connection."""

    def leave(self, client: str) -> None:
        """Count it no more."""

    def admit(self, entrance: Entrance, session: Session, client: str) -> Reply | None:
        """Take a session in, and count it; or say why not."""

    def dismissed(self, session: Session, client: str) -> None:
        """Hear that a session is over."""


class Arrivals:
    """Takes connections at one socket, and brings each to where its session begins.

    Until then each has one task, its place in the count, and `handshake_seconds` for each of what
    it has to do.
    """

    def __init__(self, entrance: Entrance, opened: socket.socket, house: House) -> None:
        self._entrance = entrance
        self._opened = opened
        self._house = house
        self._is_implicit = entrance.listener.tls is TlsStart.IMPLICIT
        self._ushers: set[asyncio.Task[None]] = set()
        self._unclaimed: set[socket.socket] = set()  # which no session has yet
        self._complaints = 0  # since the last that was made
        self._silent_until = 0.0

    async def run(self) -> None:
        """Take connections until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(self._opened)
            except OSError as error:  # most often, no more descriptors are left
                _log.warning("%s: cannot accept: %s", self._entrance.listener.place, error)
                await asyncio.sleep(_ACCEPT_PAUSE_SECONDS)
            else:
                self._take(connection, _client_at(connection, peer))
                await asyncio.sleep(0)  # where many come at once, all else goes on between them

    def turn_away(self) -> None:
        """Let nobody come any further who is not inside yet."""
        for usher in self._ushers:
            usher.cancel()

    def _take(self, connection: socket.socket, peer: str) -> None:
        is_proxy = self._entrance.is_proxy(peer)
        if not (self._house.has_room() if is_proxy else self._may_knock(peer)):
            connection.close()
            return
        usher = asyncio.create_task(
            self._usher(connection, peer, is_proxy=is_proxy), name=f"arrival of {peer}"
        )
        self._ushers.add(usher)
        self._unclaimed.add(connection)
        usher.add_done_callback(partial(self._see_off, connection))

    def _see_off(self, connection: socket.socket, usher: asyncio.Task[None]) -> None:
        """Close what no session has, even where its usher was stopped before it began."""
        self._ushers.discard(usher)
        if connection in self._unclaimed:
            self._unclaimed.discard(connection)
            connection.close()

    def _may_knock(self, client: str) -> bool:
        """Whether there is any use in going on: what we say before TLS is not TLS."""
        return not self._is_implicit or self._house.objection(self._entrance, client) is None

    async def _usher(self, connection: socket.socket, peer: str, *, is_proxy: bool) -> None:
        client: str | None = peer
        with suppress(OSError):  # it went, or its TLS failed: nothing is owed to it
            if is_proxy:
                with self._counted(_UNANNOUNCED):
                    client = await self._announced(connection, peer)
            if client is not None and self._may_knock(client):
                await self._begin(connection, client)

    async def _announced(self, connection: socket.socket, peer: str) -> str | None:
        """The address that a proxy speaks for; None where it does not say. Raises OSError."""
        seconds = self._entrance.service.limits.handshake_seconds
        loop = asyncio.get_running_loop()
        seen = b""
        try:
            async with asyncio.timeout(seconds):
                while isinstance(header := parse_proxy_header(seen), Partial):
                    more = await loop.sock_recv(connection, header.missing)
                    if not more:  # as a health check does, which only wants to see us there
                        return None
                    seen += more
        except TimeoutError:
            self._complain(peer, f"expected a PROXY header within {seconds:g} s, found none")
            return None
        if isinstance(header, Malformed):
            self._complain(peer, header.reason)
            return None
        return header.source or peer

    async def _begin(self, connection: socket.socket, client: str) -> None:
        """Let the session begin, after TLS where that comes first. Raises OSError."""
        loop = asyncio.get_running_loop()
        service = self._entrance.service
        is_counted = True

        def admit(session: Session, client: str) -> Reply | None:
            nonlocal is_counted
            is_counted = False
            self._house.leave(client)
            return self._house.admit(self._entrance, session, client)

        handshake: dict[str, Any] = {}
        if self._is_implicit:
            handshake["ssl"] = service.tls
            handshake["ssl_handshake_timeout"] = service.limits.handshake_seconds
        self._unclaimed.discard(connection)
        self._house.enter(client)
        try:
            await loop.connect_accepted_socket(
                partial(Session, self._entrance, admit, self._house.dismissed, loop, client),
                connection,
                **handshake,
            )
        finally:
            if is_counted:
                self._house.leave(client)

    @contextmanager
    def _counted(self, client: str) -> Iterator[None]:
        self._house.enter(client)
        try:
            yield
        finally:
            self._house.leave(client)

    def _complain(self, peer: str, reason: str) -> None:
        """Tell the operator of a proxy that does not keep to the rules, but not of each time."""
        self._complaints += 1
        now = asyncio.get_running_loop().time()
        if now < self._silent_until:
            return
        place = self._entrance.listener.place
        times = f" ({self._complaints} times)" if self._complaints > 1 else ""
        _log.warning("%s: hung up on the proxy %s%s: %s", place, peer, times, reason)
        self._complaints = 0
        self._silent_until = now + _COMPLAINT_SECONDS


def _client_at(connection: socket.socket, peer: Any) -> str:  # noqa: ANN401 - as the kernel has it
    """Who connects: an IP address, or the user at the other end of a Unix socket, as unix:1000."""
    if connection.family != socket.AF_UNIX:
        return client_of(peer)
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(raw)
    return f"{UNIX_CLIENT}{user}"
