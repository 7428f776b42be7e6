"""What sessions share: all of them the service, and those of one listener its entrance."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from mta.model.listener import Auth, Listener, Network, TlsStart

from mta.rules.submission.content import BareNewlines

from mta.edge.submission.settings import Door, Logins, SessionLimits
from mta.edge.submission.terms import Terms

UNIX_CLIENT = "unix:"  # begins what stands for an address where a user of this machine connects
_KNOWN_CLIENTS = 4_096  # addresses whose verdict an entrance remembers


@dataclass(slots=True, kw_only=True)
class Service:
    """What the sessions of one server share; what is replaced counts for new sessions."""

    door: Door
    hostname: str
    to_ascii: Callable[[str], str]
    limits: SessionLimits
    bare_newlines: BareNewlines
    tls: ssl.SSLContext | None
    logins: Logins | None = None
    held: int = 0  # octets of content that all sessions hold


class Entrance:
    """One listener, as its sessions see it: what is the same for all of them is made once."""

    def __init__(self, listener: Listener, service: Service) -> None:
        self.listener = listener
        self.service = service
        self.greeting = f"220 {service.hostname} ESMTP mta\r\n".encode("ascii")
        self.is_open_to = lru_cache(_KNOWN_CLIENTS)(self._is_open_to)
        self.is_proxy = lru_cache(_KNOWN_CLIENTS)(self._is_proxy)
        self.refit()

    def refit(self) -> None:
        """Take over what has been replaced in the service."""
        service, listener = self.service, self.listener
        self.terms = Terms(
            door=service.door,
            hostname=service.hostname,
            to_ascii=service.to_ascii,
            limits=service.limits,
            takes_logins=listener.auth is not Auth.NONE and service.logins is not None,
            logs_in_plainly=listener.plaintext_auth,
            needs_login=listener.auth is Auth.REQUIRED,
            offers_tls=listener.tls is TlsStart.STARTTLS and service.tls is not None,
            is_secured=listener.tls is TlsStart.IMPLICIT,
        )

    def _is_open_to(self, client: str) -> bool:
        """Whether a client with this IP address may come in here; "" may not.

        Who came by a Unix socket was let in by its file.
        """
        return client.startswith(UNIX_CLIENT) or _is_in(client, self.listener.networks)

    def _is_proxy(self, client: str) -> bool:
        """Whether connections from this IP address begin with a PROXY header."""
        return _is_in(client, self.listener.proxies)


def _is_in(client: str, networks: Sequence[Network]) -> bool:
    if not client or client.startswith(UNIX_CLIENT):
        return False
    address = ip_address(client)
    return any(address in network for network in networks)
