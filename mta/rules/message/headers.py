"""What we add to a message, repair in it and take out of it (RFC 5321 §4.4, RFC 6409 §8).

Works on the bytes as they came: what is not named here leaves as it arrived.
"""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import NamedTuple

from mta.model.address import Address
from mta.model.envelope import Client, MessageId, Submission
from mta.model.outcome import Reply
from mta.model.text import printable_ascii
from mta.model.value import value

MAX_RECEIVED = 50  # hops after which a message is in a loop, RFC 5321 §6.3
MAX_MESSAGE_ID = 1000  # octets of a field Message-ID that are looked at
MAX_HEADER = 1024 * 1024  # octets; each field of a header is an object of ours

# A field and its folded lines, RFC 5322 §2.2; white space before the colon is its obsolete form.
# Possessive (*+), or each folded line would cost memory that a stranger measures out.
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*+")
_KEY = b"idempotency-key"
_TAG = b"x-mta-tag"
DEADLINE = b"x-mta-deadline"
_PRIVATE_FIELDS = {b"bcc", b"resent-bcc", _KEY, _TAG, DEADLINE}
MAX_TAGS = 20  # of one message, as by HTTP
MAX_TAG = 64  # characters
MAX_VALUE = 1000  # octets of a field that are compared
_KEY_SHAPE = re.compile(r"[!-~]{1,255}")
_HELO = re.compile(r"[A-Za-z0-9._-]{1,255}|\[[A-Za-z0-9.:]{1,60}\]")


class Field(NamedTuple):
    """Where a header field stands in the content: `content[start:end]`, with its last CRLF."""

    name: bytes  # in lower case
    start: int
    end: int


@value
class Header:
    """A message and the fields of its header in their order: looked for once, by `read_header`."""

    content: bytes
    fields: tuple[Field, ...]
    names: frozenset[bytes]  # of the fields, in lower case

    @property
    def end(self) -> int:
        """Where the fields end: at the blank line, if all is well."""
        return self.fields[-1].end if self.fields else 0


@value
class Passage:
    """One hop of a message: what its Received field says. `at` is in Unix seconds."""

    id: MessageId
    hostname: str
    client: Client
    at: float


def fields(content: bytes) -> Iterator[Field]:
    """The header fields of a message, in order; they end at the first line that is none."""
    position = 0
    while found := _FIELD.match(content, position):
        position = found.end()
        yield Field(found[1].lower(), found.start(), position)


def read_header(content: bytes) -> Header:
    """Find the fields of a message. Of a header that is too long, not many more than may be."""
    found = []
    for field in fields(content):
        found.append(field)
        if field.end > MAX_HEADER:
            break
    return Header(content, tuple(found), frozenset([field.name for field in found]))


def objection_to_header(header: Header) -> Reply | None:
    """Why a message may not pass for its header's sake."""
    if header.end > MAX_HEADER:
        return Reply(554, f"The header has more than {MAX_HEADER} octets", 6, 0)
    if _TAG in header.names and not _are_tags(_tags(header)):
        return Reply(
            554,
            f"Expected X-MTA-Tag with up to {MAX_TAGS} tags of up to {MAX_TAG} characters",
            6,
            0,
        )
    if len(header.fields) <= MAX_RECEIVED:
        return None
    hops = sum(field.name == b"received" for field in header.fields)
    if hops > MAX_RECEIVED:
        return Reply(554, f"Mail loop: {hops} Received fields, at most {MAX_RECEIVED} pass", 4, 6)
    return None


def waives_tls(header: Header) -> bool:
    """Whether the author asks that the message go even without TLS (RFC 8689 §3)."""
    if b"tls-required" not in header.names:
        return False
    values = [
        header.content[field.start : field.end].partition(b":")[2].strip().lower()
        for field in header.fields
        if field.name == b"tls-required"
    ]
    return values == [b"no"]


def tags_in(header: Header) -> tuple[str, ...]:
    """The tags that a client gave a message in fields X-MTA-Tag, with commas between them."""
    if _TAG not in header.names:
        return ()
    tags = _tags(header)
    return tags if _are_tags(tags) else ()


def values_of(header: Header, name: bytes) -> list[str]:
    """What the fields of this name (in lower case) say: unfolded, and bounded."""
    if name not in header.names:
        return []
    found = [
        header.content[field.start : field.end].partition(b":")[2][:MAX_VALUE]
        for field in header.fields
        if field.name == name
    ]
    return [" ".join(text.decode("utf-8", "replace").split()) for text in found]


def _tags(header: Header) -> tuple[str, ...]:
    words = ",".join(values_of(header, _TAG)).split(",")
    return tuple(dict.fromkeys([word.strip() for word in words if word.strip()]))


def _are_tags(tags: tuple[str, ...]) -> bool:
    return len(tags) <= MAX_TAGS and all(len(tag) <= MAX_TAG and tag.isprintable() for tag in tags)


def completed(header: Header, passage: Passage, recipients: tuple[Address, ...]) -> bytes:
    """The message with our Received field, a Date and a Message-ID; without what stays here."""
    names = header.names
    parts = [_received(passage, recipients)]
    if b"date" not in names:
        parts.append(f"Date: {_date(passage.at)}\r\n".encode())
    if b"message-id" not in names:
        parts.append(f"Message-ID: {message_id_of(passage.id, passage.hostname)}\r\n".encode())
    if names.isdisjoint(_PRIVATE_FIELDS) and _is_followed_by_body(header):
        parts.append(header.content)
    else:
        parts += _header_and_body(header)
    return b"".join(parts)


def message_id_of(id: MessageId, hostname: str) -> str:
    """The Message-ID of a message that came without one."""
    return f"<{id}@{hostname}>"


def message_id(header: Header) -> str | None:
    """The Message-ID that a message came with, on one line; None where it has none."""
    for name, start, end in header.fields:
        if name == b"message-id":
            text = header.content[start : min(end, start + MAX_MESSAGE_ID)].partition(b":")[2]
            return printable_ascii(text.decode("utf-8", "replace").strip())
    return None


def idempotency_key(header: Header) -> str | Reply:
    """The key by which a message is known when it comes again, "" for none; or why it is none."""
    if _KEY not in header.names:
        return ""
    keys = [
        header.content[start:end].partition(b":")[2].strip()
        for name, start, end in header.fields
        if name == _KEY
    ]
    if len(keys) == 1 and is_key(keys[0].decode("latin-1")):
        return keys[0].decode("ascii")
    return Reply(554, "Expected one Idempotency-Key of 1 to 255 printable ASCII characters", 6, 0)


def digest_of(submission: Submission) -> bytes:
    """A digest of a message and its envelope: the same for the same, sent again."""
    digest = hashlib.sha256()
    for part in (str(submission.sender or ""), *map(str, submission.recipients)):
        digest.update(part.encode() + b"\0")
    digest.update(submission.content)
    return digest.digest()


def is_key(text: str) -> bool:
    """Whether this is a key, for HTTP as for SMTP."""
    return _KEY_SHAPE.fullmatch(text) is not None


def header_of(content: bytes) -> bytes:
    """The header section, without the blank line that ends it."""
    end = 0
    for field in fields(content):
        end = field.end
    return content[:end]


def _is_followed_by_body(header: Header) -> bool:
    content, end = header.content, header.end
    return content.startswith(b"\r\n", end) or end == len(content)


def _header_and_body(header: Header) -> Iterator[bytes]:
    content = header.content
    kept_from = 0
    for field in header.fields:
        if field.name in _PRIVATE_FIELDS:
            yield content[kept_from : field.start]
            kept_from = field.end
    if _is_followed_by_body(header):
        yield content[kept_from:]
        return
    yield content[kept_from : header.end]
    yield b"\r\n"  # the header ended at a line that is no field: what follows is the body
    yield content[header.end :]


def _received(passage: Passage, recipients: tuple[Address, ...]) -> bytes:
    client = passage.client
    name = client.helo if _HELO.fullmatch(client.helo) else "unknown"
    lines = [
        f"Received: from {name} ({_literal(client.address)})",
        f"by {passage.hostname} with {client.protocol} id {passage.id}",
    ]
    # Several recipients must not learn of each other here (RFC 5321 §7.2).
    if len(recipients) == 1 and recipients[0].is_ascii:
        lines.append(f"for <{recipients[0]}>")
    return ("\r\n\t".join(lines) + f";\r\n\t{_date(passage.at)}\r\n").encode()


def _literal(address: str) -> str:
    """Where a client is: its address literal, or "unix uid 1000" for a user of this machine."""
    if address.startswith("unix:"):
        return address.replace("unix:", "unix uid ")
    address = address.partition("%")[0]  # a zone says nothing elsewhere
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _date(at: float) -> str:
    return _date_of_second(int(at))


@lru_cache(maxsize=8)  # to format it anew costs as much as to look for all fields of a header
def _date_of_second(at: int) -> str:
    return format_datetime(datetime.fromtimestamp(at, UTC))
