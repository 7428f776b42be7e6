"""A soak from its beginning to its verdict."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from mta.edge.spool.inspection import inspect

from tests.bench.children import BenchError
from tests.bench.soak import verdict
from tests.bench.soak.course import Kind, Spell, course, mood_of
from tests.bench.soak.crowd import Crowd, be_rude
from tests.bench.soak.house import LINGER, House
from tests.bench.soak.ledger import Ledger
from tests.bench.soak.mood import CALM
from tests.bench.soak.samples import HEAD, Sample, look_at, row, spool_files

WARM_UP = 100  # messages
CLOSED = 3.0  # seconds for which the exchanger's port is closed, at most
RUDENESS = 0.03  # part of the messages whose client hangs up, in trouble
RUDE_INTERVAL = 0.3  # seconds between clients without manners, in trouble
STANDSTILL = 60.0  # seconds in which something of a queue must move; retries come more often
SEGMENT_AGE = 60.0  # seconds after which a segment of the journal is retired


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long, how much, and how patient all are; seconds. `waits_for_journal`: see `_rest`."""

    seconds: float
    rate: float
    seed: int = 1
    patience: float = 5.0
    waits_for_journal: bool = True

    @property
    def interval(self) -> float:
        """Between samples."""
        return min(2.0, self.seconds / 60)

    @property
    def shown(self) -> float:
        """Between lines of the table."""
        return min(15.0, self.seconds / 20)


@dataclass(slots=True)
class Result:
    """What came of it; an empty `objections` says that all held."""

    samples: list[Sample] = field(default_factory=list)
    idle: Sample | None = None
    calm: list[Sample] = field(default_factory=list)
    end: Sample | None = None
    counts: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    objections: list[str] = field(default_factory=list)


def soak(terms: Terms, folder: Path, say: Callable[[str], None] = print) -> Result:
    """Run one in an empty folder. Raises BenchError where it cannot come to its end."""
    house = House(folder, terms.patience)
    try:
        return asyncio.run(Soak(terms, house, say).run())
    except ExceptionGroup as group:
        raise _innermost(group) from group
    finally:
        house.close()


class Soak:
    """One of them."""

    def __init__(self, terms: Terms, house: House, say: Callable[[str], None]) -> None:
        self._terms = terms
        self._house = house
        self._say = say
        self._chance = random.Random(terms.seed)
        self._ledger = Ledger(house.records)
        self._crowd = Crowd(house.port.number, terms.rate, terms.seed, self._ledger.accepted)
        self._result = Result()
        self._spell = "warm-up"
        self._is_rude = False
        self._began_at = time.monotonic()
        self._last = (0.0, 0, 0)  # when the last sample was taken, accepted and delivered then

    async def run(self) -> Result:
        """From the empty spool to the verdict."""
        house, result = self._house, self._result
        async with house.dns, asyncio.TaskGroup() as tasks:
            await asyncio.to_thread(house.open_exchanger)
            await asyncio.to_thread(house.start)
            watch = tasks.create_task(self._watch(), name="watch")
            await self._with_load(self._warm_up)
            await self._drain()
            result.idle = await self._rest("idle", limit=LINGER + 2)
            await self._with_load(self._go_through)
            await self._drain()
            limit = SEGMENT_AGE + 15 if self._terms.waits_for_journal else 10
            result.end = await self._rest("drained", limit=limit)
            watch.cancel()
        result.objections += verdict.of_spool(house.spool, self._segments_left)
        house.stop()
        self._judge()
        return result

    @property
    def _segments_left(self) -> int:
        """The one that is written stays until it is a minute old."""
        return 0 if self._terms.waits_for_journal else 1

    async def _with_load(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something while clients are there; none is left when it is done."""
        self._crowd.is_on = True
        async with asyncio.TaskGroup() as tasks:
            clients = tasks.create_task(self._clients(), name="clients")
            await work()
            self._crowd.is_on = False
            clients.cancel()

    async def _clients(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._crowd.run(), name="crowd")
            while True:
                await asyncio.sleep(RUDE_INTERVAL)
                if self._is_rude:
                    port, counts = self._house.port.number, self._crowd.counts
                    tasks.create_task(be_rude(port, self._chance, counts), name="rude client")

    async def _warm_up(self) -> None:
        """All that is made once is made: threads, connections, caches."""
        await _until(lambda: self._crowd.accepted >= WARM_UP, 60, f"{WARM_UP} messages")

    async def _go_through(self) -> None:
        for spell in course(self._terms.seconds, self._chance):
            ends_at = time.monotonic() + spell.seconds
            self._begin(spell)
            await self._act(spell)
            await asyncio.sleep(ends_at - time.monotonic())
            if not self._house.server.is_running():
                raise BenchError(f"mta serve died; it said: {self._house.server.said()}")
            if spell.kind is Kind.CALM:
                self._result.calm.append(self._reading(spell))

    def _begin(self, spell: Spell) -> None:
        self._spell = str(spell.kind)
        is_calm = spell.kind is Kind.CALM
        self._is_rude = not is_calm
        self._crowd.rudeness = 0.0 if is_calm else RUDENESS
        self._house.say_mood(mood_of(spell, self._terms.patience * 1.2, self._chance))

    async def _act(self, spell: Spell) -> None:
        """Do what a spell has one do, besides a mood."""
        house = self._house
        match spell.kind:
            case Kind.CLOSED:
                await asyncio.to_thread(house.close_exchanger)
                await asyncio.sleep(min(CLOSED, spell.seconds / 2))
                await asyncio.to_thread(house.open_exchanger)
            case Kind.RELOAD:
                house.reload()
                await asyncio.sleep(spell.seconds / 2)
                house.reload()
            case Kind.STOP:
                await asyncio.sleep(spell.seconds / 3)
                await asyncio.to_thread(house.stop)
                await asyncio.to_thread(house.start)
            case Kind.KILL:
                await asyncio.sleep(spell.seconds / 3)
                await asyncio.to_thread(house.kill)
                await asyncio.to_thread(house.start)

    def _reading(self, spell: Spell) -> Sample:
        """The least memory in the later half of a calm: what comes and goes is not what stays."""
        since = time.monotonic() - self._began_at - spell.seconds / 2
        found = [sample for sample in self._result.samples if sample.at >= since and sample.rss]
        if not found:
            raise BenchError("no sample was taken in a calm: the soak is too short")
        return min(found, key=lambda sample: sample.rss)

    async def _drain(self) -> None:
        """Have all faults cease; wait until nothing is owed any more, or nothing moves."""
        self._spell = "draining"
        self._is_rude = False
        self._house.say_mood(CALM)
        queued, left, moved_at = 0, (0, 0), time.monotonic()
        while time.monotonic() - moved_at < STANDSTILL:
            queued = len(await asyncio.to_thread(inspect, self._house.spool))
            now = (queued, len(self._ledger.owed))
            if now == (0, 0):
                return
            if now != left:
                left, moved_at = now, time.monotonic()
            await asyncio.sleep(1)
        if queued:
            self._result.objections.append(f"the queue does not drain: {queued} messages stay")

    async def _rest(self, name: str, limit: float) -> Sample:
        """Wait, `limit` seconds at most, until all is let go of that will be.

        Connections linger a moment; a segment of the journal stays for a minute.
        """
        self._spell = name
        ends_at = time.monotonic() + limit
        await asyncio.sleep(min(limit, LINGER + 2))
        with suppress(BenchError):  # what is left then is said by the verdict
            await _until(self._is_at_rest, ends_at - time.monotonic(), "rest")
        return await self._look()

    def _is_at_rest(self) -> bool:
        idle = self._result.idle
        if idle is None:
            return False
        looks = look_at(self._house.server.id)
        segments, waiting = spool_files(self._house.spool)
        return (
            not any(verdict.excess(idle.descriptors, looks.by_kind))
            and len(segments) <= self._segments_left
            and not waiting
        )

    async def _watch(self) -> None:
        """Take samples, and show one now and then."""
        self._say(HEAD)
        shown_at = 0.0
        while True:
            await asyncio.sleep(self._terms.interval)
            sample = await self._look()
            self._result.samples.append(sample)
            if sample.at - shown_at >= self._terms.shown:
                shown_at = sample.at
                self._say(row(sample))

    async def _look(self) -> Sample:
        looks = await asyncio.to_thread(look_at, self._house.server.id)
        self._ledger.read_on()
        segments, waiting = spool_files(self._house.spool)
        now = time.monotonic() - self._began_at
        then, accepted, delivered = self._last
        self._last = (now, self._crowd.accepted, self._ledger.delivered)
        return Sample(
            at=now,
            spell=self._spell,
            life=len(self._house.starts),
            pss=looks.pss,
            rss=looks.rss,
            threads=looks.threads,
            descriptors=looks.by_kind,
            owed=len(self._ledger.owed),
            accepted=(self._crowd.accepted - accepted) / (now - then),
            delivered=(self._ledger.delivered - delivered) / (now - then),
            segments=len(segments),
            waiting=len(waiting),
        )

    def _judge(self) -> None:
        house, result, ledger, sent = self._house, self._result, self._ledger, self._crowd.sent
        ledger.read_on()
        assert result.idle is not None
        assert result.end is not None
        result.objections += chain(
            verdict.of_mail(sent, ledger, house.kills, house.events),
            (f"a client was refused: {refusal}" for refusal in self._crowd.refusals[:5]),
            verdict.of_memory([*result.calm, result.end]),
            verdict.of_rest(result.idle, result.end),
            verdict.of_log(house.folder / "log"),
            verdict.of_course(ledger.counts),
        )
        result.counts = verdict.counted(sent, ledger, house.kills)
        result.faults = dict(ledger.counts + self._crowd.counts)
        result.seconds = {"starts": house.starts, "stops": house.stops}


def _innermost(error: Exception) -> Exception:
    """What went wrong first, out of the groups of tasks in which it did."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def _until(is_so: Callable[[], bool], within: float, what: str) -> None:
    ends_at = time.monotonic() + within
    while not is_so():
        if time.monotonic() > ends_at:
            raise BenchError(f"waited {within:.0f} s in vain for {what}")
        await asyncio.sleep(0.1)


def shown(result: Result) -> Iterator[str]:
    """The end of the report, line by line."""
    for title, facts in (("counted", result.counts), ("faults", result.faults)):
        yield f"{title}: {', '.join(f'{name} {number:,}' for name, number in facts.items())}"
    for name, seconds in result.seconds.items():
        if seconds:
            yield f"{name}: {len(seconds)}, the longest {max(seconds):.2f} s"
    for objection in result.objections:
        yield f"NOT RIGHT: {objection}"
    if not result.objections:
        yield "all held"
