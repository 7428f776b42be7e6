"""Mailbox addresses, as RFC 5321 §4.1.2 spells them.

The local part is kept as it was written, because it belongs to its host alone (RFC 5321
§2.3.11). The domain is kept in one form, lower-case A-labels, so that two spellings of one
domain are one destination.
"""

import ipaddress
import re
from collections.abc import Callable

from mta.model.value import value

MAX_LOCAL = 64  # octets, RFC 5321 §4.5.3.1.1
MAX_DOMAIN = 253  # RFC 5321 allows 255 octets; the DNS leaves room for 253 characters

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_DOT_STRING = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_QUOTED_STRING = re.compile(r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\u0080-\U0010ffff]|\\[\x20-\x7e])*"')
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_C1_OR_SURROGATE = re.compile("[\u0080-\u009f\u2028\u2029\ud800-\udfff]")


class AddressError(ValueError):
    """The text is no mailbox; the message says what was expected and what was found."""


@value
class Address:
    """A mailbox: `local` as it was written (with its quotes), `domain` in lower-case A-labels.

    `domain` may be an address literal in its brackets, as in "[192.0.2.1]" (RFC 5321 §4.1.3).
    """

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def is_ascii(self) -> bool:
        """Whether it can be sent to a server without SMTPUTF8 (RFC 6531 §3.2)."""
        return self.local.isascii()


def literal_ip(domain: str) -> str | None:
    """The IP address in an address literal, or None where `domain` is a name."""
    if not domain.startswith("["):
        return None
    text = domain.strip("[]")
    return text[5:] if text.lower().startswith("ipv6:") else text


def refuse_unicode(domain: str) -> str:
    """Stand where no IDNA conversion is at hand."""
    raise AddressError("only ASCII is taken here")


def parse_address(text: str, to_ascii: Callable[[str], str] = refuse_unicode) -> Address:
    """Read a mailbox, strictly (RFC 5321 §4.1.2, with RFC 6531 §3.3 for what is not ASCII).

    `to_ascii` turns a domain with non-ASCII labels into A-labels, or raises ValueError, whose
    text is fit for a reply. Raises AddressError.
    """
    local, at, domain = text.rpartition("@")
    if not at:
        raise AddressError(f"expected local-part@domain, got {_shown(text)}")
    return Address(_checked_local(local), parse_domain(domain, to_ascii))


def parse_domain(text: str, to_ascii: Callable[[str], str] = refuse_unicode) -> str:
    """Read the right-hand side of an address: a domain or an address literal.

    Gives lower-case A-labels, or the literal in one spelling. Raises AddressError.
    """
    if text.startswith("["):
        return _checked_literal(text)
    try:
        ascii_form = text if text.isascii() else to_ascii(text)
    except ValueError as error:
        raise AddressError(f"expected a domain, got {_shown(text)}: {error}") from error
    if len(ascii_form) > MAX_DOMAIN or not _DOMAIN.fullmatch(ascii_form):
        raise AddressError(f"expected a domain, got {_shown(text)}")
    if ascii_form.rpartition(".")[2].isdigit():
        raise AddressError(f"expected a domain or an IP address in brackets, got {_shown(text)}")
    return ascii_form.lower()


def _checked_local(local: str) -> str:
    if not (_DOT_STRING.fullmatch(local) or _QUOTED_STRING.fullmatch(local)):
        raise AddressError(f"expected a local part before the @, got {_shown(local)}")
    if _C1_OR_SURROGATE.search(local):
        raise AddressError(f"expected no control characters in the local part, got {_shown(local)}")
    size = len(local.encode())
    if size > MAX_LOCAL:
        raise AddressError(f"expected a local part of at most {MAX_LOCAL} octets, got {size}")
    return local


def _checked_literal(text: str) -> str:
    if not text.endswith("]"):
        raise AddressError(f"expected a closing bracket, got {_shown(text)}")
    inner = text[1:-1]
    try:
        if inner.lower().startswith("ipv6:") and "%" not in inner:  # no zone: it may hold anything
            return f"[IPv6:{ipaddress.IPv6Address(inner[5:])}]"
        return f"[{ipaddress.IPv4Address(inner)}]"
    except ValueError as error:
        raise AddressError(f"expected an IP address in brackets, got {_shown(text)}") from error


def _shown(text: str) -> str:
    """`text` escaped and bounded, fit for a reply or a log."""
    shown = ascii(text[:80])
    return shown if len(text) <= 80 and len(shown) <= 90 else shown[:87] + "..."
