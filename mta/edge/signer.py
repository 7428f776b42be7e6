"""DKIM signatures (RFC 6376): dkimpy's handling of headers around somebody else's RSA.

dkimpy would parse the key for each message and raise it to its power in Python, fifteen times
slower than `cryptography`; so the key comes as a callable, and what is to be signed is gathered
with the very function by which dkimpy verifies.
"""

import asyncio
import base64
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import dkim

from mta.model.trouble import SigningError

from mta.rules.headers import fields
from mta.rules.signing import SigningKey, by_domain, fields_to_sign, keys_for, relaxed_body

WIDTH = 74  # columns of a folded tag, which leaves room for what stands before it


class DkimSigner:
    """Signs with rsa-sha256, relaxed/relaxed, the whole body, as often as a domain has keys."""

    def __init__(
        self,
        keys: Sequence[SigningKey],
        *,
        clock: Callable[[], float],
        executor: Executor | None = None,
    ) -> None:
        """`executor` does the work (None: the event loop's own)."""
        self._keys = by_domain(keys)
        self._clock = clock
        self._executor = executor

    async def signature_fields(self, content: bytes, domain: str) -> bytes:
        """DKIM-Signature fields to stand before `content`, CRLF at each end; b"" without a key.

        `domain` is the domain of the author's address, in lower-case A-labels.
        Raises SigningError.
        """
        keys = keys_for(domain, self._keys)
        if not keys:
            return b""
        now = int(self._clock())
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, signatures, content, keys, now)


def signatures(content: bytes, keys: Sequence[SigningKey], now: int) -> bytes:
    """A field for each key, made at `now` (Unix seconds). The same content gives the same fields.

    Raises SigningError.
    """
    header, body = _parts(content)
    body_hash = hashlib.sha256(relaxed_body(body)).digest()
    try:
        return b"".join(_signature(header, body_hash, key, now) for key in keys)
    except ValueError as error:  # from the RSA operation
        raise SigningError(f"the message could not be signed: {error}") from error


Header = list[tuple[bytes, bytes]]  # names and values, in their relaxed form


def _parts(content: bytes) -> tuple[Header, bytes]:
    raw = []
    end = 0
    for field in fields(content):
        name, _, value = content[field.start : field.end].partition(b":")
        raw.append((name, value))
        end = field.end
    body = content[end:].removeprefix(b"\r\n")
    return dkim.RelaxedCanonicalization.canonicalize_headers(raw), body


def _signature(header: Header, body_hash: bytes, key: SigningKey, now: int) -> bytes:
    names = fields_to_sign([name.decode("ascii") for name, _ in header])
    unsigned = _unsigned(names, body_hash, key, now)
    gathered = _Gathered()
    dkim.hash_headers(
        gathered,
        dkim.RelaxedCanonicalization,
        header,
        [name.encode("ascii") for name in names],
        (b"DKIM-Signature", unsigned),
        {},  # the tags, which it takes and does not look at
    )
    signature = base64.b64encode(key.sign(bytes(gathered.octets)))
    return b"DKIM-Signature:" + unsigned + _folded(signature) + b"\r\n"


def _unsigned(names: Sequence[str], body_hash: bytes, key: SigningKey, now: int) -> bytes:
    """The field's value up to the empty b= tag."""
    tags = (
        " v=1; a=rsa-sha256; c=relaxed/relaxed",
        f"d={key.domain}",
        f"s={key.selector}",
        f"t={now}",
        f"bh={base64.b64encode(body_hash).decode('ascii')}",
        f"h={_listed(names)}",
        "b=",
    )
    return ";\r\n\t".join(tags).encode("ascii")


def _listed(names: Sequence[str]) -> str:
    """The names with colons between them, folded after a colon where the line gets long."""
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) >= WIDTH:
            lines.append("")
        lines[-1] += f"{name}:"
    return "\r\n\t".join(lines).removesuffix(":")


def _folded(octets: bytes) -> bytes:
    return b"\r\n\t ".join(octets[at : at + WIDTH] for at in range(0, len(octets), WIDTH))


class _Gathered:
    """A hasher, in name: it keeps what it is given, for the RSA operation hashes by itself."""

    def __init__(self) -> None:
        self.octets = bytearray()

    def update(self, octets: bytes) -> None:
        self.octets += octets
