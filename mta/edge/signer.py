"""DKIM signatures (RFC 6376, RFC 8463), by dkimpy's rules and somebody else's arithmetic.

dkimpy would parse the key for each message and raise it to its power in Python, fifteen times
slower than `cryptography`, and wants PyNaCl for Ed25519; so the key comes as a callable. The plain
cases of its relaxed form are done at one look; tests hold them against its own, and have it verify
every signature.
"""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import dkim

from mta.model.trouble import SigningError

from mta.rules.message.headers import fields
from mta.rules.message.signing import (
    OVERSIGNED,
    SIGNED,
    SigningKey,
    by_domain,
    fields_to_sign,
    in_force,
    keys_for,
    relaxed_body,
)

WIDTH = 74  # columns of a folded tag, which leaves room for what stands before it

_SIGNABLE = {name.encode("ascii") for name in (*OVERSIGNED, *SIGNED)}
_NOT_PLAIN = re.compile(rb"[\t\r\n\v\f]|  ")


class Draft(NamedTuple):
    """A message that is to be signed with these keys at `now` (Unix seconds)."""

    content: bytes
    keys: Sequence[SigningKey]
    now: int


class DkimSigner:
    """Signs relaxed/relaxed, the whole body, as often as a domain has keys that sign now."""

    def __init__(
        self,
        keys: Sequence[SigningKey],
        *,
        clock: Callable[[], float],
        sign: Callable[[Draft], Awaitable[bytes]],
    ) -> None:
        """`sign` has `signatures` done in a thread."""
        self._clock = clock
        self._sign = sign
        self.replace_keys(keys)

    def replace_keys(self, keys: Sequence[SigningKey]) -> None:
        """Sign with these from now on."""
        self._all = tuple(keys)
        self._choose(self._clock())

    def _choose(self, now: float) -> None:
        found, self._changes_at = in_force(self._all, now)
        self._keys = by_domain(found)

    def _keys_for(self, domain: str, now: float) -> tuple[SigningKey, ...]:
        if now >= self._changes_at:
            self._choose(now)
        return keys_for(domain, self._keys)

    def signs_for(self, domain: str) -> bool:
        """Whether there is a key for mail from this domain, in lower-case A-labels."""
        return bool(self._keys_for(domain, self._clock()))

    async def signature_fields(self, content: bytes, domain: str) -> bytes:
        """DKIM-Signature fields to stand before `content`, CRLF at each end; b"" without a key.

        `domain` is the domain of the author's address, in lower-case A-labels.
        Raises SigningError.
        """
        now = self._clock()
        keys = self._keys_for(domain, now)
        if not keys:
            return b""
        return await self._sign(Draft(content, keys, int(now)))


def signatures(draft: Draft) -> bytes:
    """A field for each key. The same draft gives the same fields. Raises SigningError."""
    header, body = _parts(draft.content)
    body_hash = hashlib.sha256(relaxed_body(body)).digest()
    try:
        return b"".join(_signature(header, body_hash, key, draft.now) for key in draft.keys)
    except ValueError as error:  # from the key's operation
        raise SigningError(f"the message could not be signed: {error}") from error


Header = list[tuple[bytes, bytes]]  # names in lower case and values in their relaxed form


def _parts(content: bytes) -> tuple[Header, bytes]:
    """The fields that can be signed, and the body."""
    found = list(fields(content))
    header = [
        (field.name, _relaxed(content[field.start : field.end].partition(b":")[2]))
        for field in found
        if field.name in _SIGNABLE
    ]
    end = found[-1].end if found else 0
    return header, content[end:].removeprefix(b"\r\n")


def _relaxed(value: bytes) -> bytes:
    """A field's value in its relaxed form, with one CRLF at its end."""
    text = value.removesuffix(b"\r\n").strip(b" ")
    if _NOT_PLAIN.search(text) is None:  # most are: dkimpy's way takes five times as long
        return text + b"\r\n"
    relaxed: bytes = dkim.RelaxedCanonicalization.canonicalize_headers([(b"", value)])[0][1]
    return relaxed


def _signature(header: Header, body_hash: bytes, key: SigningKey, now: int) -> bytes:
    names = fields_to_sign(Counter(name.decode("ascii") for name, _ in header))
    unsigned = _unsigned(names, body_hash, key, now)
    gathered = _gathered(header, names)
    relaxed = unsigned.replace(b"\r\n\t", b" ").strip()  # our own folds are all alike
    octets = b"".join((*gathered, b"dkim-signature:", relaxed))
    signature = base64.b64encode(key.sign(octets))
    return b"DKIM-Signature:" + unsigned + _folded(signature) + b"\r\n"


def _gathered(header: Header, names: Iterable[str]) -> Iterator[bytes]:
    """The fields of these names, each from the bottom up as often as it is named (§5.4.2)."""
    left: dict[bytes, list[bytes]] = {}
    for name, value in header:
        left.setdefault(name, []).append(value)
    for named in names:
        name = named.encode("ascii")
        if left.get(name):
            yield name
            yield b":"
            yield left[name].pop()


def _unsigned(names: tuple[str, ...], body_hash: bytes, key: SigningKey, now: int) -> bytes:
    """The field's value up to the empty b= tag."""
    tags = (
        f" v=1; a={key.kind.algorithm}; c=relaxed/relaxed",
        f"d={key.domain}",
        f"s={key.selector}",
        f"t={now}",
        f"bh={base64.b64encode(body_hash).decode('ascii')}",
        f"h={_listed(names)}",
        "b=",
    )
    return ";\r\n\t".join(tags).encode("ascii")


@lru_cache(maxsize=256)  # the mail of one application has few kinds of headers
def _listed(names: tuple[str, ...]) -> str:
    """The names with colons between them, folded after a colon where the line gets long."""
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) >= WIDTH:
            lines.append("")
        lines[-1] += f"{name}:"
    return "\r\n\t".join(lines).removesuffix(":")


def _folded(octets: bytes) -> bytes:
    return b"\r\n\t ".join(octets[at : at + WIDTH] for at in range(0, len(octets), WIDTH))
