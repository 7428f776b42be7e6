"""What a peer says, as bytes in and replies out; hostile until it has been through here."""

import re
from dataclasses import dataclass

from mta.model.outcome import Reply, parse_reply

MAX_TEXT = 500  # characters of a reply's text that are kept

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
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
        first, *others = (legible(line) for line in self.lines)
        status = _STATUS.match(first)
        if status is not None:
            others = [line.removeprefix(status[0]) for line in others]
        return parse_reply(self.code, shortened(" ".join((first, *others))))


class ReplyReader:
    """Takes bytes as they come and gives the replies in them, one after the other.

    Its owner bounds how many bytes it feeds; each byte is looked at a few times at most.
    """

    def __init__(self) -> None:
        self._rest = bytearray()  # what has come and was not taken
        self._code = b""
        self._lines: list[bytes] = []  # of the reply that is not complete yet

    @property
    def rest(self) -> bytes:
        """What has come beyond the replies and the lines that were taken."""
        return bytes(self._rest)

    def feed(self, data: bytes) -> None:
        """Take more of what the peer said."""
        self._rest += data

    def take(self) -> RawReply | None:
        """The next reply, or None if it is not complete. Raises MalformedReply."""
        while (end := self._rest.find(b"\n")) >= 0:
            line = bytes(self._rest[:end])
            del self._rest[: end + 1]
            if self._is_last(line.removesuffix(b"\r")):
                reply = RawReply(int(self._code), tuple(self._lines))
                self._code, self._lines = b"", []
                return reply
        return None

    def _is_last(self, line: bytes) -> bool:
        found = _LINE.fullmatch(line)
        if found is None:
            raise MalformedReply(f'expected an SMTP reply, got "{legible(line[:80])}"')
        code, separator, text = found.groups(default=b"")
        if self._code and code != self._code:
            raise MalformedReply(
                f'expected another line of reply {self._code.decode()}, got "{legible(line[:80])}"'
            )
        self._code = code
        self._lines.append(text)
        return separator != b"-"


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
