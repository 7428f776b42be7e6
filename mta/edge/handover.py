"""Hands one message to the server on this machine, by SMTP, and waits for its word.

Blocking and small, for `mta sendmail`: it lives for one message, and loads nothing that it can do
without. The server is our own; it is believed, but not that it answers soon or briefly.
"""

import os
import select
import socket
from contextlib import suppress
from enum import Enum, auto
from typing import BinaryIO

from mta.model.listener import Endpoint, UnixSocket
from mta.model.outcome import Stage
from mta.model.value import value

from mta.rules.message.dropfile import Drop, dotted

CONNECT_SECONDS = 5.0
REPLY_SECONDS = 30.0  # for a reply, before the message is out: then there is the drop folder
CONTENT_SECONDS = 300.0  # for the server to take the octets of a message
FINAL_SECONDS = 600.0  # for the reply to the final dot, RFC 5321 §4.5.3.2.6
SILENCE_SECONDS = 10.0
MAX_LINE = 2048  # octets of a reply's line
MAX_LINES = 100
PIECE = 65536


class Fate(Enum):
    """What became of the message."""

    TAKEN = auto()
    REFUSED = auto()  # for good
    NOT_TAKEN = auto()  # nobody there, or not now: it may be given elsewhere
    UNKNOWN = auto()  # all of it was sent, and the reply did not come: the server may have it


@value
class Answer:
    """The server's word, or why there is none. `stage` is how far it came."""

    fate: Fate
    stage: Stage
    text: str
    code: int = 0


class _Broken(Exception):
    """The connection ended or the time did, or what came is no reply."""


def hand_over(door: Endpoint | UnixSocket, drop: Drop, hostname: str) -> Answer:
    """Give it the message; `hostname` is what we call ourselves. Never raises for what it does."""
    try:
        link = _connected(door)
    except OSError as error:
        return Answer(Fate.NOT_TAKEN, Stage.CONNECT, f"{door}: {error.strerror or error}")
    with link, link.makefile("rb") as lines:
        return _Conversation(link, lines).answer(drop, hostname)


def _connected(door: Endpoint | UnixSocket) -> socket.socket:
    if isinstance(door, Endpoint):
        return socket.create_connection((door.host, door.port), CONNECT_SECONDS)
    link = socket.socket(socket.AF_UNIX)
    try:
        link.settimeout(CONNECT_SECONDS)
        link.connect(door.path)
    except BaseException:
        link.close()
        raise
    return link


class _Conversation:
    """One message by one connection: lockstep, so that each refusal has its place."""

    def __init__(self, link: socket.socket, lines: BinaryIO) -> None:
        self._link = link
        self._lines = lines
        self._stage = Stage.GREETING

    def answer(self, drop: Drop, hostname: str) -> Answer:
        try:
            return self._envelope(drop, hostname) or self._content(drop.content)
        except _Broken as error:
            return Answer(Fate.NOT_TAKEN, self._stage, str(error))

    def _envelope(self, drop: Drop, hostname: str) -> Answer | None:
        """Say all up to DATA; None where the server goes along."""
        greeting = self._reply(REPLY_SECONDS)
        if greeting[0] >= 300:
            return self._refusal(greeting)
        hello = self._say(Stage.HELLO, f"EHLO {hostname}")
        if hello[0] >= 300:
            return self._refusal(hello)
        offers = {line.partition(" ")[0].upper() for line in hello[1].split("\n")}
        mail = self._say(Stage.SENDER, _mail(drop, offers))
        if mail[0] >= 300:
            return self._refusal(mail)
        return self._recipients(drop, offers) or self._data()

    def _recipients(self, drop: Drop, offers: set[str]) -> Answer | None:
        """Name them; where one is refused the message goes to nobody, so that none has it twice."""
        parameters = f" {drop.recipient_parameters}" if "DSN" in offers else ""
        refused = []
        for recipient in drop.recipients:
            code, text = self._say(Stage.RECIPIENT, f"RCPT TO:<{recipient}>{parameters}".rstrip())
            if code >= 300:
                refused.append((code, f"{recipient}: {text}"))
        final = [refusal for refusal in refused if refusal[0] >= 500]
        if not refused:
            return None
        worst = final or refused
        return self._refusal((worst[0][0], "\n".join(text for _, text in worst)))

    def _data(self) -> Answer | None:
        reply = self._say(Stage.CONTENT, "DATA")
        return None if 300 <= reply[0] < 400 else self._refusal(reply)

    def _content(self, content: bytes) -> Answer:
        wire = dotted(content)
        self._send(wire[:-3], CONTENT_SECONDS)
        try:
            self._send(wire[-3:], REPLY_SECONDS)
            reply = self._reply(FINAL_SECONDS)
        except _Broken as error:
            return Answer(Fate.UNKNOWN, self._stage, str(error))
        if reply[0] >= 300:
            return self._refusal(reply)
        with suppress(_Broken):
            self._send(b"QUIT\r\n", REPLY_SECONDS)
        return Answer(Fate.TAKEN, self._stage, reply[1], reply[0])

    def _refusal(self, reply: tuple[int, str]) -> Answer:
        with suppress(_Broken):
            self._send(b"QUIT\r\n", REPLY_SECONDS)
        code, text = reply
        return Answer(
            Fate.REFUSED if code >= 500 else Fate.NOT_TAKEN, self._stage, f"{code} {text}", code
        )

    def _say(self, stage: Stage, line: str) -> tuple[int, str]:
        self._stage = stage
        self._send(line.encode() + b"\r\n", REPLY_SECONDS)
        return self._reply(REPLY_SECONDS)

    def _send(self, octets: bytes, seconds: float) -> None:
        try:
            self._link.settimeout(seconds)
            self._link.sendall(octets)
        except OSError as error:
            raise _Broken(f"the connection broke: {error}") from error

    def _reply(self, seconds: float) -> tuple[int, str]:
        """The code, and the text of all lines."""
        texts = []
        for _ in range(MAX_LINES):
            line = self._line(seconds)
            if len(line) < 4 or not line[:3].isdigit():
                break
            texts.append(line[4:].rstrip().decode("utf-8", "replace"))
            if line[3:4] != b"-":
                return int(line[:3]), "\n".join(texts)
        raise _Broken("expected a reply, got something else")

    def _line(self, seconds: float) -> bytes:
        try:
            self._link.settimeout(seconds)
            line = self._lines.readline(MAX_LINE)
        except OSError as error:
            raise _Broken(f"the connection broke: {error}") from error
        if not line.endswith(b"\n"):
            raise _Broken("the connection broke: the server closed it")
        return line


def _mail(drop: Drop, offers: set[str]) -> str:
    words = [f"MAIL FROM:<{drop.sender or ''}>"]
    if "SIZE" in offers:
        words.append(f"SIZE={len(drop.content)}")
    if "8BITMIME" in offers and not drop.content.isascii():
        words.append("BODY=8BITMIME")
    if "SMTPUTF8" in offers and drop.is_smtputf8:
        words.append("SMTPUTF8")
    if "DSN" in offers and drop.parameters:
        words.append(drop.parameters)
    return " ".join(words)


def relay(door: Endpoint | UnixSocket, given: int, taken: int) -> bool:
    """Let whoever has these two descriptors talk with the server; False where there is none.

    Ends when the server hangs up, as after QUIT; or when all was given, and it is silent.
    """
    try:
        link = _connected(door)
    except OSError:
        return False
    with link, suppress(OSError):
        link.settimeout(CONTENT_SECONDS)
        _pass_on(link, given, taken)
    return True


def _pass_on(link: socket.socket, given: int, taken: int) -> None:
    # poll, because epoll will not have a plain file. The link is never shut half: a server may take
    # that for the end of all.
    poll = select.poll()
    poll.register(link, select.POLLIN)
    poll.register(given, select.POLLIN)
    patience: float | None = None  # milliseconds
    while ready := poll.poll(patience):
        for file, _ in ready:
            octets = os.read(file, PIECE)
            if file == given and octets:
                link.sendall(octets)
            elif file == given:
                poll.unregister(given)
                patience = SILENCE_SECONDS * 1000
            elif octets:
                _write(taken, octets)
            else:
                return


def _write(file: int, octets: bytes) -> None:
    left = memoryview(octets)
    while left:
        left = left[os.write(file, left) :]
