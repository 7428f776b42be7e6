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


@dataclass(frozen=True, slots=True)
class Tlsa:
    """One TLSA record (RFC 6698 §2.1), as it was published: nothing in it is checked.

    As in "3 1 1" and the SHA-256 of a public key: what is matched, what of a certificate, and how.
    """

    usage: int
    selector: int
    matching: int
    data: bytes


class Finding(StrEnum):
    """What a DNS query brought."""

    RECORDS = "records"
    NO_DATA = "no data"  # the name exists, without records of this type
    NO_NAME = "no such name"  # NXDOMAIN
    UNKNOWN = "unknown"  # SERVFAIL, timeout, lame: never to be read as "none"


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A DNS answer as a fact. `text` says in words what failed, for people.

    `is_secure`: a resolver that is known to validate found it signed, all of it (RFC 4035 §4.3).
    `alias_of` is the name that the records are of, where the name that was asked for is an alias.
    """

    finding: Finding
    records: tuple[T, ...] = ()
    text: str = ""
    is_secure: bool = False
    alias_of: str = ""


class Validation(StrEnum):
    """Whether our resolvers check signatures, and may be believed when they say so."""

    AUTO = "auto"  # those of this host that show that they do
    YES = "yes"
    NO = "no"


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
        if not self.port:
            return self.name
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"

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
    VERIFY = "verify"  # encrypt, with a certificate that proves who the host is
    FINGERPRINT = "fingerprint"  # encrypt, with a certificate or a key that the settings name


@dataclass(frozen=True, slots=True)
class TlsDemand:
    """What to ask of one connection.

    `is_implicit`: TLS from the first byte (RFC 8314 §3). `names` are those that a certificate may
    prove, the host's own alone where there are none; the first is asked for (SNI). `tlsa`, for
    VERIFY, are the records of which one must fit: then no authority is asked (RFC 7672).
    `fingerprints`, for FINGERPRINT, are the SHA-256 of certificates or public keys (SPKI) of which
    the host must have one, in lower-case hexadecimal digits. `otherwise` is what to ask of another
    connection where this could not be had; None where that is for the level to say.
    """

    level: TlsLevel
    is_implicit: bool = False
    names: tuple[str, ...] = ()
    tlsa: tuple[Tlsa, ...] = ()
    fingerprints: tuple[str, ...] = ()
    otherwise: "TlsDemand | None" = None


class TlsProof(StrEnum):
    """How a peer proved who it is."""

    PKIX = "pkix"  # an authority that we trust says so
    DANE_EE = "dane-ee"  # the DNS names its certificate or key
    DANE_TA = "dane-ta"  # the DNS names its authority
    FINGERPRINT = "fingerprint"  # our settings name its certificate or key


@value
class TlsFacts:
    """The TLS that a connection has: as in ("TLSv1.3", "TLS_AES_256_GCM_SHA384", True, "pkix").

    `proof` is a TlsProof, "" where nothing was proven.
    """

    version: str
    cipher: str
    is_verified: bool
    proof: str = ""


class TlsFailure(StrEnum):
    """Why TLS, or what it was to prove, could not be had (RFC 8460 §4.3)."""

    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    CERTIFICATE_HOST_MISMATCH = "certificate-host-mismatch"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_TRUSTED = "certificate-not-trusted"
    VALIDATION_FAILURE = "validation-failure"  # whatever has no name of its own
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    DANE_REQUIRED = "dane-required"
    STS_POLICY_FETCH_ERROR = "sts-policy-fetch-error"
    STS_POLICY_INVALID = "sts-policy-invalid"
    STS_WEBPKI_INVALID = "sts-webpki-invalid"


Anchors = tuple[bytes, ...]  # certificates of authorities, in DER


@value
class Distrust:
    """Why what a host showed proves nothing, and in words for people."""

    failure: TlsFailure
    text: str
