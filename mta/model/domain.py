"""What a domain publishes and where its mail goes: MX records, hosts, TLS."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from mta.model.value import value

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mx:
    """One MX record (RFC 1035 §3.3.9): `host` in lower case without the final dot.

    `host` is "" in a null MX (RFC 7505), whose exchange is the root.
    """

    preference: int
    host: str


class Finding(StrEnum):
    """What a DNS query brought."""

    RECORDS = "records"
    NO_DATA = "no data"  # the name exists, without records of this type
    NO_NAME = "no such name"  # NXDOMAIN
    UNKNOWN = "unknown"  # SERVFAIL, timeout, lame: never to be read as "none"


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A DNS answer as a fact. `text` says in words what failed, for people."""

    finding: Finding
    records: tuple[T, ...] = ()
    text: str = ""


@value
class Host:
    """One place to connect to: a host's name, one of its IP addresses, and the port.

    Port 0: a place on this machine, and `name` says which, as in "/run/dovecot/lmtp".
    `has_more`: another of its addresses is tried next, so this one is not waited for long.
    """

    name: str
    address: str
    port: int
    has_more: bool = field(default=False, compare=False, repr=False)

    @property
    def label(self) -> str:
        """By what it is known again, whichever of its addresses it was."""
        return f"{self.name}:{self.port}" if self.port else self.name

    def __str__(self) -> str:
        if not self.port:
            return self.name
        is_literal = self.name.startswith("[")  # and says its address already
        return f"{self.name}{'' if is_literal else f'[{self.address}]'}:{self.port}"


class TlsLevel(StrEnum):
    """What a connection must prove, from nothing to everything."""

    NONE = "none"  # in clear
    OPPORTUNISTIC = "opportunistic"  # encrypt where offered, verify nothing (RFC 7435)
    REQUIRED = "required"  # encrypt or do not send
    VERIFY = "verify"  # encrypt, with a certificate that names the host


@dataclass(frozen=True, slots=True)
class TlsDemand:
    """What to ask of one connection. `is_implicit`: TLS from the first byte (RFC 8314 §3)."""

    level: TlsLevel
    is_implicit: bool = False


@value
class TlsFacts:
    """The TLS that a connection has: as in ("TLSv1.3", "TLS_AES_256_GCM_SHA384", True)."""

    version: str
    cipher: str
    is_verified: bool
