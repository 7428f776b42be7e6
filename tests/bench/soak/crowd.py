"""Clients at a steady rate, each message with its own mark; and some that have no manners."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256

from tests.bench.children import HOST
from tests.bench.session import Refused, Session
from tests.e2e.traffic import LARGE, SENDER_DOMAIN, Sent, content_with

SESSIONS = 20  # at once, at most
DOMAINS = tuple(f"d{number}.test" for number in range(8))
SENDER = f"ann@{SENDER_DOMAIN}"
SERVER_IDLE = 10.0  # seconds after which the server ends a session that says nothing

_KINDS = ("ok",) * 16 + ("later",) * 3 + ("no",)
_KEPT = 0.5  # part of the sessions that carry several messages, and of those at most
_MOST = 8
_KIB = 1024
# Largest size of a message in octets, and how many of a hundred are of that size or less.
_SIZES = ((4 * _KIB, 70), (20 * _KIB, 90), (200 * _KIB, 97), (LARGE, 99), (2 * LARGE, 100))


class Crowd:
    """Sends `rate` messages a second to `port` while it `is_on`, and no faster to make up for more.

    `sent` are the messages whose content was begun; `on_accepted` hears of each 250. `refusals`
    are replies that were neither yes nor the end of a connection. `rudeness` is the part of the
    messages whose client hangs up in the middle of the content.
    """

    def __init__(
        self, port: int, rate: float, seed: int, on_accepted: Callable[[Sent], None]
    ) -> None:
        self.sent: list[Sent] = []
        self.accepted = 0
        self.refusals: list[str] = []
        self.counts: Counter[str] = Counter()
        self.rudeness = 0.0
        self.is_on = False
        self._port = port
        self._rate = rate
        self._chance = random.Random(seed)
        self._on_accepted = on_accepted
        self._turns: asyncio.Queue[None] = asyncio.Queue(SESSIONS)
        self._idle = 0  # sessions that wait for a turn
        self._serial = 0

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beat(), name="beat")
            for number in range(SESSIONS):
                tasks.create_task(self._send_on(), name=f"client {number}")

    @property
    def is_quiet(self) -> bool:
        """Whether no session is at work."""
        return self._idle == SESSIONS and self._turns.empty()

    async def _beat(self) -> None:
        """Give turns at the rate; one that nobody comes for is lost in time."""
        loop = asyncio.get_running_loop()
        next_at = loop.time()
        while True:
            next_at = max(next_at + 1 / self._rate, loop.time() - 0.1)
            await asyncio.sleep(next_at - loop.time())
            if self.is_on and not self._turns.full():
                self._turns.put_nowait(None)

    async def _turn(self) -> None:
        self._idle += 1
        try:
            await self._turns.get()
        finally:
            self._idle -= 1

    async def _send_on(self) -> None:
        while True:
            await self._turn()
            try:
                await self._one_session()
            except Refused as error:
                if error.code != 421:  # the server stops
                    self.refusals.append(str(error))
            except (OSError, EOFError):
                continue  # the server is down, or a client hung up

    async def _one_session(self) -> None:
        session = await Session.open(self._port)
        try:
            await self._send(session)
            if self._chance.random() < _KEPT:
                for _ in range(self._chance.randint(1, _MOST - 1)):
                    await self._turn()
                    await self._send(session)
            await session.close()
        finally:
            session.abort()

    async def _send(self, session: Session) -> None:
        self._serial += 1
        test_id, chance = str(self._serial), self._chance
        recipients = recipients_of(test_id, chance)
        content = content_with(test_id, SENDER, recipients, size_of(chance), chance)
        is_abandoned = chance.random() < self.rudeness
        await session.offer(SENDER, recipients)
        id = None
        try:
            if is_abandoned:
                await abandon(session, content)
            id = (await session.finish(content)).split()[3]  # as in "2.0.0 Queued as ID"
        finally:
            digest = sha256(content).digest()
            message = Sent(test_id, SENDER, recipients, digest, len(content) >= LARGE, id)
            self.sent.append(message)
            if id is not None:
                self.accepted += 1
                self._on_accepted(message)


def recipients_of(test_id: str, chance: random.Random) -> tuple[str, ...]:
    """One to three, of kinds that the exchanger treats in different ways."""
    kinds = dict.fromkeys(chance.choices(_KINDS, k=chance.choice((1, 1, 1, 2, 3))))
    return tuple(f"{kind}-{test_id}@{chance.choice(DOMAINS)}" for kind in kinds)


def size_of(chance: random.Random) -> int:
    """A size in octets: many small ones, few large ones, from 1 KiB to 2 MiB."""
    drawn = chance.uniform(0, 100)
    return chance.randint(_KIB, next(size for size, share in _SIZES if drawn <= share))


async def abandon(session: Session, content: bytes) -> None:
    """Hang up in the middle of a content. Raises OSError."""
    session.say(content[: len(content) // 2])
    session.abort()
    raise ConnectionAbortedError("the client hung up")


async def be_rude(port: int, chance: random.Random, counts: Counter[str]) -> None:
    """Be one client without manners, to its end."""
    what, how = chance.choice(_MANNERS)
    with suppress(OSError, EOFError, Refused):
        async with asyncio.timeout(SERVER_IDLE + 10):
            await how(port, chance)
    counts[what] += 1


async def _say_nothing(port: int, chance: random.Random) -> None:
    """Until the server has enough of it, or until we have."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        async with asyncio.timeout(chance.choice((0.1, 1.0, SERVER_IDLE + 5))):
            await reader.read()
    finally:
        writer.transport.abort()


async def _talk_rubbish(port: int, chance: random.Random) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(chance.randbytes(chance.randint(1, 100_000)))
        writer.write(b"\r\n" * chance.randint(0, 100))
        async with asyncio.timeout(3):
            await reader.read()
    finally:
        writer.transport.abort()


async def _leave_early(port: int, chance: random.Random) -> None:
    session = await Session.open(port)
    try:
        if chance.random() < 0.5:
            await session.offer(SENDER, ["ok-early@d0.test"])
        session.say(chance.choice((b"", b"MAIL FR", b"DATA\r\n", b"RSET\r\nNOOP\r\n")))
    finally:
        session.abort()


_Manners = Callable[[int, random.Random], Awaitable[None]]
_MANNERS: tuple[tuple[str, _Manners], ...] = (
    ("said nothing", _say_nothing),
    ("talked rubbish", _talk_rubbish),
    ("left early", _leave_early),
)
