"""A mail exchanger with moods, as a program: `python -m tests.bench.soak.exchanger`.

It serves every domain, on a port that it is given. Recipients that begin with "no" are refused
for good. Lines of JSON in the file of records say what it did (see `ledger`): a message is
written down before its final dot is answered, and its answer after, so that a kill at any
moment leaves a record that errs to the server's favour.
"""

import argparse
import asyncio
import json
import os
import random
import re
import socket
import struct
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.bench.children import HOST
from tests.bench.soak.mood import Mood, Point
from tests.e2e.copies import Copy, content_of, copy_of

LOOK = 0.1  # seconds between looks at the mood
PER_CONNECTION = 3  # times as often, where there is one chance for a whole connection
_LIMIT = 16 * 1024 * 1024  # octets of a message
_IDLE = 60.0  # seconds that a peer may rest
_PATH = re.compile(rb"<(.*?)>")
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection


class Lost(Exception):
    """The conversation ends without another word."""

    def __init__(self, *, is_reset: bool) -> None:
        super().__init__()
        self.is_reset = is_reset


class Records:
    """What was done, each in one line that is written whole."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._numbers = count()

    def happened(self, what: str) -> None:
        """Something to be counted."""
        self._write({"happened": what})

    def took(self, copy: Copy) -> str:
        """A message is whole; gives the name under which it is answered later."""
        name = f"{os.getpid()}-{next(self._numbers)}"
        facts = {
            "test_id": copy.test_id,
            "id": copy.id,
            "sender": copy.sender,
            "recipients": copy.recipients,
            "failed": copy.failed,
            "digest": copy.digest.hex(),
            "whole_at": copy.whole_at,
        }
        self._write({"took": name, "copy": facts})
        return name

    def answered(self, name: str) -> None:
        """Its reply has left."""
        self._write({"answered": name, "at": time.time()})

    def _write(self, record: dict[str, object]) -> None:
        os.write(self._file, json.dumps(record).encode() + b"\n")


@dataclass(slots=True)
class House:
    """What all conversations share; `put_off` are recipients that may come again."""

    records: Records
    mood: Mood
    chance: random.Random
    put_off: set[str] = field(default_factory=set)


class Conversation:
    """One connection, from its greeting to whatever end it has."""

    def __init__(
        self, house: House, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._house = house
        self._reader = reader
        self._writer = writer
        self._sender = ""
        self._recipients: list[str] = []

    async def run(self) -> None:
        """Converse, and hang up."""
        try:
            await self._converse()
        except Lost as lost:
            if lost.is_reset:
                connection = self._writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._writer.transport.abort()
        except (OSError, EOFError):
            pass  # the peer was killed
        finally:
            self._writer.close()

    async def _converse(self) -> None:
        await self._perhaps(Point.CONNECT)
        self._writer.write(b"220 mx.sink.test ESMTP\r\n")
        await self._perhaps(Point.GREETING)
        while True:
            async with asyncio.timeout(_IDLE):
                line = await self._reader.readuntil(b"\r\n")
            verb = line[:4].upper()
            if verb == b"DATA" and self._recipients:
                await self._take()
            else:
                self._writer.write(await self._answer(verb, line))
            if verb == b"QUIT":
                return
            await self._writer.drain()

    async def _answer(self, verb: bytes, line: bytes) -> bytes:
        match verb:
            case b"EHLO":
                return b"250-mx.sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE\r\n"
            case b"MAIL":
                await self._perhaps(Point.SENDER)
                self._sender, self._recipients = _path(line), []
                return b"250 2.1.0 OK\r\n"
            case b"RCPT":
                await self._perhaps(Point.RECIPIENT)
                return self._answer_recipient(_path(line))
            case b"DATA":
                return b"554 5.5.1 No valid recipients\r\n"
            case b"RSET":
                self._recipients = []
        return b"250 2.0.0 OK\r\n"

    def _answer_recipient(self, recipient: str) -> bytes:
        house = self._house
        if recipient.startswith("no-"):
            house.records.happened("refused")
            return b"550 5.1.1 No such user\r\n"
        is_shut = recipient.partition("@")[2] in house.mood.shut
        is_late = recipient.startswith("later-") and recipient not in house.put_off
        if is_shut or (is_late and house.mood.greylists):
            house.put_off.add(recipient)
            house.records.happened("put off")
            return b"451 4.7.1 Come again later\r\n"
        self._recipients.append(recipient)
        return b"250 2.1.5 OK\r\n"

    async def _take(self) -> None:
        await self._perhaps(Point.DATA)
        self._writer.write(b"354 Go on\r\n")
        await self._perhaps(Point.CONTENT)
        wire = await self._reader.readuntil(b"\r\n.\r\n")
        copy = copy_of(
            content_of(wire),
            sender=self._sender,
            recipients=self._recipients,
            whole_at=time.time(),
            answered_at=0.0,
        )
        name = self._house.records.took(copy)
        self._recipients = []
        await asyncio.sleep(self._house.mood.delay)
        await self._perhaps(Point.DOT)
        self._writer.write(b"250 2.0.0 Taken\r\n")  # asyncio sends it in this call
        self._house.records.answered(name)
        await self._perhaps(Point.REPLY)

    async def _perhaps(self, point: Point) -> None:
        """Lose the conversation here, if it so happens."""
        mood, chance = self._house.mood, self._house.chance
        if chance.random() < mood.stalls:
            self._house.records.happened("stalled")
            await asyncio.sleep(mood.patience)
            raise Lost(is_reset=False)
        often = PER_CONNECTION if point in (Point.CONNECT, Point.GREETING) else 1
        if chance.random() < mood.drops * often:
            self._house.records.happened(f"lost {point}")
            if point is Point.CONTENT:
                await self._reader.read(chance.randint(1, 4096))
            # What was said before a reset may not be heard; a reply that left must be.
            raise Lost(is_reset=point is not Point.REPLY and chance.random() < 0.5)


def _path(line: bytes) -> str:
    found = _PATH.search(line)
    return found[1].decode() if found else ""


async def serve(port: int, records: Path, mood: Path) -> None:
    """Take mail until somebody ends us."""
    house = House(Records(records), Mood.read(mood), random.Random())

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Conversation(house, reader, writer).run()

    await asyncio.start_server(converse, HOST, port, limit=_LIMIT, backlog=1000)
    while True:
        await asyncio.sleep(LOOK)
        house.mood = Mood.read(mood)


def main() -> None:
    """Run it. Not on uvloop, which sends what is written only when its turn is over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--mood", type=Path, required=True)
    call = parser.parse_args()
    asyncio.run(serve(call.port, call.records, call.mood))


if __name__ == "__main__":
    main()
