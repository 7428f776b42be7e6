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
class Listener:
    """One place to listen at. Clients outside `networks` are refused instead of greeted.

    `host` is an IP address or a name, "" for every address of the machine; port 0 is a free port.
    `plaintext_auth`: passwords may come without TLS.
    """

    host: str
    port: int
    tls: TlsStart = TlsStart.NONE
    auth: Auth = Auth.NONE
    networks: tuple[Network, ...] = LOOPBACK
    plaintext_auth: bool = False
