"""SPF records: from texts to terms (RFC 7208). What a domain says is read, never trusted."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_network

MAX_LOOKUPS = 10  # that a record may cause, RFC 7208 §4.6.4
MAX_TERMS = 100


class SpfResult(StrEnum):
    """What a domain says of a sender (RFC 7208 §2.6), and that it said it in macros."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    NONE = "none"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"
    MACROS = "macros"  # which depend on more than an address, and are not worked out here


BY_QUALIFIER = {
    "+": SpfResult.PASS,
    "-": SpfResult.FAIL,
    "~": SpfResult.SOFTFAIL,
    "?": SpfResult.NEUTRAL,
}


class SpfError(ValueError):
    """The record is wrong; says what was expected and what was found."""


@dataclass(frozen=True, slots=True)
class Term:
    """One directive, or `redirect`. `prefixes` are the lengths for IPv4 and IPv6 addresses."""

    name: str
    value: str = ""
    qualifier: str = "+"
    prefixes: tuple[int, int] = (32, 128)

    @property
    def has_macros(self) -> bool:
        """Whether its value depends on more than is known here."""
        return "%" in self.value


_MECHANISM = re.compile(
    r"(?P<qualifier>[+?~-]?)(?P<name>all|include|a|mx|ptr|ip4|ip6|exists)"
    r"(?::(?P<value>[^/\s]+|[0-9A-Fa-f:.]+))?(?:/(?P<four>[0-9]{1,3}))?(?://(?P<six>[0-9]{1,3}))?",
    re.IGNORECASE,
)
_MODIFIER = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_.-]*)=(?P<value>\S*)")
_VERSION = "v=spf1"


def record_among(texts: Iterable[str]) -> str | None:
    """The one SPF record among a domain's texts; None without any. Raises SpfError for several."""
    records = [text for text in texts if text.lower().partition(" ")[0] == _VERSION]
    if len(records) > 1:
        raise SpfError(f"expected one SPF record, found {len(records)} (RFC 7208 §4.5)")
    return records[0] if records else None


def terms_of(record: str) -> list[Term]:
    """The record's directives in order, and its redirect last. Raises SpfError."""
    terms, redirect = [], []
    words = record.split()[1:]
    if len(words) > MAX_TERMS:
        raise SpfError(f"expected at most {MAX_TERMS} terms, found {len(words)}")
    for word in words:
        modifier = _MODIFIER.fullmatch(word)
        if modifier is None:
            terms.append(_directive(word))
        elif modifier["name"].lower() == "redirect":
            redirect.append(Term("redirect", modifier["value"]))
    if len(redirect) > 1:
        raise SpfError("expected one redirect, found several")
    has_all = any(term.name == "all" for term in terms)
    return terms if has_all else terms + redirect  # RFC 7208 §6.1


def _directive(word: str) -> Term:
    found = _MECHANISM.fullmatch(word)
    if found is None:
        raise SpfError(f"expected a term of SPF, found {word[:80]!r}")
    name = found["name"].lower()
    if name in ("include", "exists", "ip4", "ip6") and not found["value"]:
        raise SpfError(f"expected {name}:VALUE, found {word[:80]!r}")
    if name == "ip6":
        four, six = 32, int(found["four"] or 128)
    else:
        four, six = int(found["four"] or 32), int(found["six"] or 128)
    if four > 32 or six > 128:
        raise SpfError(f"expected the length of a prefix, found {word[:80]!r}")
    return Term(name, found["value"] or "", found["qualifier"] or "+", (four, six))


def is_within(term: Term, address: IPv4Address | IPv6Address, *, of: str) -> bool:
    """Whether `address` is in the network that `of`, an IP address, makes with the term's prefix.

    Raises SpfError where `of` is none.
    """
    prefix = term.prefixes[0 if address.version == 4 else 1]
    try:
        network = ip_network(of)
    except ValueError:
        raise SpfError(f"expected an IP address, found {of[:80]!r}") from None
    if network.version != address.version:
        return False
    return address in network.supernet(new_prefix=prefix)
