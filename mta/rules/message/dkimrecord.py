"""The DNS record that publishes a DKIM key (RFC 6376 §3.6)."""

from dataclasses import dataclass
from enum import StrEnum

MAX_STRING = 255  # octets of one string in a TXT record, RFC 1035 §3.3


class KeyKind(StrEnum):
    """The k= tag of a record (RFC 6376 §3.6.1, RFC 8463 §4)."""

    RSA = "rsa"
    ED25519 = "ed25519"

    @property
    def algorithm(self) -> str:
        """The a= tag of its signatures."""
        return f"{self}-sha256"


@dataclass(frozen=True, slots=True)
class DkimRecord:
    """What goes into the DNS: `public` is the p= tag, base64 of the public key."""

    domain: str
    selector: str
    public: str
    kind: KeyKind = KeyKind.RSA

    @property
    def name(self) -> str:
        """Where the record stands, without a final dot."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def value(self) -> str:
        """The record's text in one line, as most DNS providers' forms want it."""
        return f"v=DKIM1; k={self.kind}; p={self.public}"

    @property
    def strings(self) -> tuple[str, ...]:
        """The same, in the pieces that a zone file wants."""
        value = self.value
        return tuple(value[at : at + MAX_STRING] for at in range(0, len(value), MAX_STRING))

    @property
    def zone_lines(self) -> str:
        """The record as a zone file has it."""
        pieces = "\n    ".join(f'"{piece}"' for piece in self.strings)
        return f"{self.name}. IN TXT (\n    {pieces}\n)"
