"""The seal of who forwards a message: an ARC set, with what was found when it came (RFC 8617).

A set is three fields with the same number: what was verified, a signature of the message, and a
seal over all sets so far. Whoever is next can see what the message was before it was changed.
"""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from mta.rules.message.headers import Header
from mta.rules.message.signing import MAX_INSTANCES, OVERSIGNED, SIGNED, relaxed_body

MAX_SETS = 50  # of a chain, RFC 8617 §4.2.1
MAX_RESULTS = 5  # signatures of a message that are looked at

_RESULTS = b"arc-authentication-results"
_SIGNATURE = b"arc-message-signature"
_SEAL = b"arc-seal"
_NAMES = (_RESULTS, _SIGNATURE, _SEAL)  # in the order in which they are sealed, RFC 8617 §5.1.1

_INSTANCE = re.compile(rb"(?:^|;)[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,3})[ \t\r\n]*(?:;|$)")
_FAILED = re.compile(rb"(?:^|;)[ \t\r\n]*cv[ \t\r\n]*=[ \t\r\n]*fail[ \t\r\n]*(?:;|$)")
_BLANKS = re.compile(rb"[ \t\r\n]+")
_WIDTH = 72
_NO_WORD = re.compile(r"[^A-Za-z0-9._-]")
_SIGNED = frozenset(name.encode("ascii") for name in (*OVERSIGNED, *SIGNED, "dkim-signature"))


class Chain(StrEnum):
    """What the seals that a message came with are worth, the cv= tag (RFC 8617 §4.4)."""

    NONE = "none"  # there are none
    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class DkimResult:
    """What one signature of a message is worth (RFC 8601 §2.7.1): ("pass", "a.test", "s1")."""

    result: str
    domain: str
    selector: str

    def __str__(self) -> str:
        named = f"header.d={_word(self.domain)} header.s={_word(self.selector)}"
        return f"dkim={_word(self.result)} {named}"


@dataclass(frozen=True, slots=True)
class Findings:
    """What was verified of a message that came."""

    dkim: tuple[DkimResult, ...] = ()
    chain: Chain | None = Chain.NONE  # None: not known


@dataclass(frozen=True, slots=True)
class Sealer:
    """Who seals: `host` is who verified; `sign` is as in `SigningKey`, of RSA."""

    host: str
    domain: str
    selector: str
    sign: Callable[[bytes], bytes]


def _word(text: str) -> str:
    """What came from the message, fit to stand as a word in a field."""
    return _NO_WORD.sub("?", text[:255]) or "?"


def seal_fields(header: Header, findings: Findings, sealer: Sealer, now: int) -> bytes:
    """The three fields to stand before a message, CRLF at the end of each; b"" where none may.

    None may where the chain has ended: its latest seal says so (RFC 8617 §5.1.2), or it is long;
    nor where it is not known what the chain is worth.
    """
    sets = _sets(header)
    instance = max(sets, default=0) + 1
    if instance > MAX_SETS or _FAILED.search(sets.get(instance - 1, {}).get(_SEAL, b"")):
        return b""
    chain = findings.chain if sets else Chain.NONE
    if chain is None:
        return b""
    if chain is not Chain.PASS:
        sets = {}  # what is broken is not vouched for: the seal is over our own set alone
    results = f" i={instance}; {_results(sealer.host, findings, chain)}".encode("ascii")
    signature = _signature(header, instance, sealer, now)
    sets[instance] = {_RESULTS: results, _SIGNATURE: signature}
    seal = _seal(sets, instance, chain, sealer, now)
    return b"ARC-Seal:%b\r\nARC-Message-Signature:%b\r\nARC-Authentication-Results:%b\r\n" % (
        seal,
        signature,
        results,
    )


Sets = dict[int, dict[bytes, bytes]]  # the values of the fields of each set


def _sets(header: Header) -> Sets:
    """The sets that a message came with, whole or not."""
    sets: Sets = {}
    for name, start, end in header.fields:
        if name in _NAMES:
            value = header.content[start:end].partition(b":")[2]
            instance = _INSTANCE.search(value)
            if instance is not None:
                sets.setdefault(int(instance[1]), {})[name] = value
    return sets


def _results(host: str, findings: Findings, chain: Chain) -> str:
    """What was verified, as RFC 8601 §2.2 has it, a line each."""
    found = [str(result) for result in findings.dkim[:MAX_RESULTS]] or ["dkim=none"]
    return ";\r\n\t".join((host, *found, f"arc={chain}"))


def _signature(header: Header, instance: int, sealer: Sealer, now: int) -> bytes:
    """The value of our ARC-Message-Signature (RFC 8617 §4.1.2)."""
    body = header.content[header.end :].removeprefix(b"\r\n")
    digest = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest())
    covered = list(_covered(header))
    names = b":\r\n\t".join(name for name, _ in covered)
    unsigned = b" i=%d; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=%b; s=%b; t=%d;\r\n\tbh=%b;" % (
        instance,
        sealer.domain.encode("ascii"),
        sealer.selector.encode("ascii"),
        now,
        digest,
    )
    unsigned += b"\r\n\th=%b;\r\n\tb=" % names
    lines = [*(_line(name, value) for name, value in covered), _line(_SIGNATURE, unsigned)]
    return unsigned + _folded(sealer.sign(b"\r\n".join(lines)))


def _covered(header: Header) -> Iterator[tuple[bytes, bytes]]:
    """The fields that are signed; those of one name from the bottom up (RFC 6376 §5.4.2)."""
    count: Counter[bytes] = Counter()
    for name, start, end in reversed(header.fields):
        count[name] += 1
        if name in _SIGNED and count[name] <= MAX_INSTANCES:
            yield name, header.content[start:end].partition(b":")[2]


def _seal(sets: Sets, instance: int, chain: Chain, sealer: Sealer, now: int) -> bytes:
    """The value of our ARC-Seal, over all of these sets (RFC 8617 §5.1.1)."""
    unsigned = b" i=%d; a=rsa-sha256; t=%d; cv=%b;\r\n\td=%b; s=%b;\r\n\tb=" % (
        instance,
        now,
        str(chain).encode("ascii"),
        sealer.domain.encode("ascii"),
        sealer.selector.encode("ascii"),
    )
    lines = [
        _line(name, unsigned if name == _SEAL and number == instance else sets[number][name])
        for number in sorted(sets)
        for name in _NAMES
    ]
    return unsigned + _folded(sealer.sign(b"\r\n".join(lines)))


def _line(name: bytes, value: bytes) -> bytes:
    """A field in its relaxed form (RFC 6376 §3.4.2), without its CRLF."""
    return name + b":" + _BLANKS.sub(b" ", value).strip(b" ")


def _folded(signature: bytes) -> bytes:
    text = base64.b64encode(signature)
    return b"\r\n\t ".join(text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH))
