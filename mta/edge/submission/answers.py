"""Answers: the octets of a reply, and what the session does after it."""

import re
from enum import Enum, auto
from typing import NamedTuple

from mta.model.outcome import Reply

_MAX_TEXT = 480  # so that the whole line keeps to 512 octets, RFC 5321 §4.5.3.1.5
_UNPRINTABLE = re.compile(r"[^ -~]")


class Step(Enum):
    """What the session does after an answer."""

    NEXT = auto()  # read the next command
    LATER = auto()  # the same, but answer only after a while
    CONTENT = auto()  # read the content
    CHUNK = auto()  # read a chunk of the content, and then answer
    SECURE = auto()  # start TLS
    RESPONSE = auto()  # read what the client answers to a challenge of AUTH
    LOGIN = auto()  # have the login looked at
    CUT = auto()  # hang up on a client that may well be talking on
    END = auto()  # hang up as agreed


class ChunkToRead(NamedTuple):
    """What comes behind BDAT. With an objection it is read and thrown away, and then refused."""

    octets: int
    is_first: bool = True
    is_last: bool = False
    objection: Reply | None = None


class Answer(NamedTuple):
    """The octets of a reply, and what comes after it; `chunk` where that is one."""

    line: bytes
    step: Step = Step.NEXT
    chunk: ChunkToRead | None = None


def line_of(reply: Reply) -> bytes:
    """A reply as it goes on the wire: one line of printable ASCII, whatever its text is."""
    text = reply.text[:_MAX_TEXT]
    if not (text.isascii() and text.isprintable()):
        text = _UNPRINTABLE.sub("?", text)
    return f"{reply.code} {reply.status} {text}\r\n".encode("ascii")
