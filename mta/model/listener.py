"""Where we listen, and for whom."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network

Network = IPv4Network | IPv6Network

LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class TlsStart(StrEnum):
    """How TLS begins on a port."""

    NONE = "none"  # not at all
    STARTTLS = "starttls"  # offered (RFC 3207)
    IMPLICIT = "implicit"  # from the first octet (RFC 8314 §3.3)


class Auth(StrEnum):
    """Whether clients must say who they are (RFC 4954)."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and a TCP or UDP port, as in 127.0.0.1:8025 or [::1]:8025.

    To listen there, the host "" is every address of the machine, and port 0 one that is free.
    """

    host: str
    port: int

    def __str__(self) -> str:
        host = self.host or "*"
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """A socket in the file system. Who may connect is said by its file's mode and group.

    `group` is a name or a number; None leaves the one that the file is made with.
    """

    path: str
    mode: int = 0o660
    group: str | None = None

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class Handed:
    """Sockets that whoever started us opened, under a name of theirs (sd_listen_fds(3))."""

    name: str

    def __str__(self) -> str:
        return f"systemd:{self.name}"


Place = Endpoint | UnixSocket | Handed


@dataclass(frozen=True, slots=True)
class Listener:
    """One place to listen at. Clients outside `networks` are refused instead of greeted.

    A client of a Unix socket has no network. Connections from `proxies` begin with a PROXY
    header, and the address in it is then the client's. `plaintext_auth`: passwords may come
    without TLS.
    """

    place: Place
    tls: TlsStart = TlsStart.NONE
    auth: Auth = Auth.NONE
    networks: tuple[Network, ...] = LOOPBACK
    plaintext_auth: bool = False
    proxies: tuple[Network, ...] = ()
