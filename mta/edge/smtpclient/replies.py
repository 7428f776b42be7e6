"""What a peer says, as bytes in and replies out; hostile until it has been through here."""

import re
from collections.abc import MutableSequence
from dataclasses import dataclass
from functools import lru_cache

from mta.model.outcome import Reply, parse_reply

MAX_TEXT = 500  # characters of a reply's text that are kept
MAX_REMEMBERED = 100  # octets of a line that is worth remembering

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:[ -](.*))?", re.DOTALL)
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3} ")


class MalformedReply(Exception):
    """What came is no SMTP reply; the message shows the beginning of it."""


@dataclass(frozen=True, slots=True)
class RawReply:
    """A complete reply (RFC 5321 §4.2): its code, and the text of each line as it came."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def is_positive(self) -> bool:
        """Whether the command was carried out: 2yz, and nothing else (RFC 5321 §4.2.1)."""
        return 200 <= self.code < 300

    @property
    def is_go_ahead(self) -> bool:
        """Whether the peer waits for more of the same command: 3yz."""
        return 300 <= self.code < 400

    @property
    def is_refusal(self) -> bool:
        """Whether the command was not carried out, in words that the peer is allowed: 4yz, 5yz."""
        return self.code >= 400

    def legible(self) -> Reply:
        """The same for people and records: one line, escaped, bounded.

        A status that each line repeats (RFC 2034 §4) is kept once.
        """
        if len(self.lines) == 1:
            return parse_reply(self.code, shortened(legible(self.lines[0])))
        first, *others = (legible(line) for line in self.lines)
        status = _STATUS.match(first)
        if status is not None:
            others = [line.removeprefix(status[0]) for line in others]
        return parse_reply(self.code, shortened(" ".join((first, *others))))


class ReplyReader:
    """Takes bytes as they come and gives the replies in them, one after the other.

    Its owner bounds how many bytes it reads; each byte is looked at a few times at most.
    """

    def __init__(self) -> None:
        self._rest = bytearray()  # what has come and was not taken
        self._searched = 0  # octets of it that hold no newline
        self._code = 0
        self._texts: list[bytes] = []  # of the reply that is not complete yet

    @property
    def rest(self) -> bytes:
        """What has come beyond the replies and the lines that were taken."""
        return bytes(self._rest)

    def read(self, data: bytes, replies: MutableSequence[RawReply], most: int) -> None:
        """Take more of what the peer said; append the replies in it, until there are `most`.

        Raises MalformedReply, behind the replies before it.
        """
        if self._rest or not data.endswith(b"\n"):
            self._rest += data
            data = self._whole_lines()
        lines = data.split(b"\n")
        for place, line in enumerate(lines[:-1]):
            if len(replies) >= most:
                self._rest[:0] = b"\n".join(lines[place:])
                self._searched = 0
                break
            reply = self._take(line)
            if reply is not None:
                replies.append(reply)

    def _whole_lines(self) -> bytes:
        """Take out of the rest what ends in a newline."""
        end = self._rest.rfind(b"\n", self._searched) + 1
        lines = bytes(self._rest[:end])
        del self._rest[:end]
        self._searched = len(self._rest)
        return lines

    def _take(self, line: bytes) -> RawReply | None:
        """Add a line to the reply; gives the reply if that was its last. Raises MalformedReply."""
        alone = _short_line(line) if len(line) <= MAX_REMEMBERED else _line(line)
        if alone is None:
            raise MalformedReply(f'expected an SMTP reply, got "{_beginning(line)}"')
        is_last = line[3:4] != b"-"
        if not self._texts:
            if is_last:
                return alone
            self._code = alone.code
        elif alone.code != self._code:
            raise MalformedReply(
                f'expected another line of reply {self._code}, got "{_beginning(line)}"'
            )
        self._texts += alone.lines
        if not is_last:
            return None
        reply = RawReply(self._code, tuple(self._texts))
        self._texts = []
        return reply


def _line(line: bytes) -> RawReply | None:
    """One line of a reply, with its CR or without, as if it were all of it; None if it is none."""
    found = _LINE.fullmatch(line.removesuffix(b"\r"))
    return None if found is None else RawReply(int(found[1]), (found[2] or b"",))


# A peer says the same few lines for each letter, and most peers say the same ones: a line that
# is remembered costs a tenth of one that is read.
_short_line = lru_cache(maxsize=1024)(_line)


def _beginning(line: bytes) -> str:
    return legible(line.removesuffix(b"\r")[:80])


def legible(raw: bytes) -> str:
    r"""`raw` as printable characters in one line: text stays, every other byte becomes \xNN."""
    text = raw.decode("utf-8", "backslashreplace").replace("\t", " ").strip(" \r\n")
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _escaped(character) for character in text
    )


def shortened(text: str) -> str:
    """`text` in at most MAX_TEXT characters."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..."


def _escaped(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode())
