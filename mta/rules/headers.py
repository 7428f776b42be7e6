"""What we add to a message, repair in it and take out of it (RFC 5321 §4.4, RFC 6409 §8).

Works on the bytes as they came: what is not named here leaves as it arrived.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from mta.model.address import Address
from mta.model.envelope import Client, MessageId
from mta.model.outcome import Reply

MAX_RECEIVED = 50  # hops after which a message is in a loop, RFC 5321 §6.3
MAX_HEADER = 1024 * 1024  # octets; each field of a header is an object of ours

# A field and its folded lines, RFC 5322 §2.2; white space before the colon is its obsolete form.
# Possessive (*+), or each folded line would cost memory that a stranger measures out.
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*+")
_PRIVATE_FIELDS = {b"bcc", b"resent-bcc"}
_HELO = re.compile(r"[A-Za-z0-9._-]{1,255}|\[[A-Za-z0-9.:]{1,60}\]")


@dataclass(frozen=True, slots=True)
class Field:
    """Where a header field stands in the content: `content[start:end]`, with its last CRLF."""

    name: bytes  # in lower case
    start: int
    end: int


@dataclass(frozen=True, slots=True)
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


def objection_to_header(content: bytes) -> Reply | None:
    """Why a message may not pass for its header's sake."""
    hops = 0
    for field in fields(content):
        if field.end > MAX_HEADER:
            return Reply(554, f"The header has more than {MAX_HEADER} octets", 6, 0)
        hops += field.name == b"received"
    if hops > MAX_RECEIVED:
        return Reply(554, f"Mail loop: {hops} Received fields, at most {MAX_RECEIVED} pass", 4, 6)
    return None


def completed(content: bytes, passage: Passage, recipients: tuple[Address, ...]) -> bytes:
    """The message with our Received field, a Date and a Message-ID, and without its Bcc."""
    found = list(fields(content))
    names = {field.name for field in found}
    parts = [_received(passage, recipients)]
    if b"date" not in names:
        parts.append(f"Date: {_date(passage.at)}\r\n".encode())
    if b"message-id" not in names:
        parts.append(f"Message-ID: <{passage.id}@{passage.hostname}>\r\n".encode())
    parts += _header_and_body(content, found)
    return b"".join(parts)


def header_of(content: bytes) -> bytes:
    """The header section, without the blank line that ends it."""
    end = 0
    for field in fields(content):
        end = field.end
    return content[:end]


def _header_and_body(content: bytes, found: list[Field]) -> Iterator[bytes]:
    kept_from = 0
    for field in found:
        if field.name in _PRIVATE_FIELDS:
            yield content[kept_from : field.start]
            kept_from = field.end
    header_end = found[-1].end if found else 0
    if content.startswith(b"\r\n", header_end) or header_end == len(content):
        yield content[kept_from:]
        return
    yield content[kept_from:header_end]
    yield b"\r\n"  # the header ended at a line that is no field: what follows is the body
    yield content[header_end:]


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
    address = address.partition("%")[0]  # a zone says nothing elsewhere
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _date(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(at, UTC))
