"""The journal on a slow disk: several syncs under way, and what each of them vouches for."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest

from mta.model.envelope import MessageId
from mta.model.trouble import SpoolError

from mta.edge.spool import FileSpool
from mta.edge.spool.journal.lanes import Lanes, Pace
from mta.edge.spool.journal.records import Kind, read
from mta.edge.spool.journal.turns import Turn

from tests.edge.fake_disk import MemoryDisk, SlowDisk
from tests.edge.spool_house import FOLDER, deferred, envelope_of, let_go, message_id, spool_on
from tests.flow.house import story


class Crowd:
    """Messages that are being added to a slow spool, each of which has a sync of its own."""

    def __init__(self, spool: FileSpool, disk: SlowDisk) -> None:
        self.spool = spool
        self.disk = disk
        self.told: list[str] = []  # of their 250, in this order
        self.tasks: dict[str, asyncio.Task[bool]] = {}

    async def add(self, id: str) -> None:
        """Add one more, and wait until its sync has begun."""
        task = asyncio.create_task(self.spool.add(envelope_of(id), b"content"))
        task.add_done_callback(lambda _: self.told.append(id))
        self.tasks[id] = task
        assert await asyncio.to_thread(self.disk.began.acquire, timeout=10)

    async def end(self, place: int) -> None:
        """Let a sync end, and the loop hear of it."""
        self.disk.let_through(place)
        assert await asyncio.to_thread(self.disk.ended.acquire, timeout=10)
        await asyncio.to_thread(int)  # another thread's turn, and another round

    async def ends(self, *ids: str) -> list[bool | BaseException]:
        """What becomes of these."""
        return await asyncio.gather(*(self.tasks[id] for id in ids), return_exceptions=True)


@asynccontextmanager
async def crowd(*, shares: bool = False) -> AsyncIterator[Crowd]:
    """A spool that knows that its disk is slow; from here on each sync is let through."""
    disk = SlowDisk(0.0, shares=shares)
    disk.root = MemoryDisk().root
    spool = spool_on(disk, patience=0.0)
    await spool.add(envelope_of("first"), b"")
    disk.began.acquire()
    disk.ended.acquire()
    disk.seconds = 10.0
    try:
        yield Crowd(spool, disk)
    finally:
        let_go(spool)


def found(disk: SlowDisk) -> list[MessageId]:
    """What is there after a loss of power."""
    left = disk.calmed()
    left.lose_power()
    spool = spool_on(left)
    ids = sorted(envelope.id for envelope in spool.envelopes())
    let_go(spool)
    return ids


def records(disk: SlowDisk, segment: int) -> list[tuple[Kind, str]]:
    reading = read(disk.calmed().read(FOLDER / "journal" / f"{segment:08}.seg"))
    return [(record.kind, record.id) for record in reading.records]


@story
async def test_on_a_slow_disk_who_comes_during_a_sync_has_one_that_starts_after_it_came() -> None:
    async with crowd() as them:
        await them.add("a")
        await them.add("b")
        await them.add("c")

        assert them.disk.most_at_once == 3

        for _ in "abc":
            await them.end(0)
        assert await them.ends("a", "b", "c") == [True, True, True]
        assert found(them.disk) == ["a", "b", "c", "first"]


@story
async def test_all_are_told_in_the_order_of_their_appends() -> None:
    async with crowd() as them:
        await them.add("a")
        await them.add("b")

        await them.end(1)
        await them.end(0)
        await them.ends("a", "b")

        assert them.told == ["a", "b"]


@story
async def test_more_than_that_wait_for_a_sync_to_end_and_share_the_next() -> None:
    async with crowd() as them:
        for id in "abcd":
            await them.add(id)
        crowded = [asyncio.create_task(them.spool.add(envelope_of(id), b"")) for id in "efg"]
        await asyncio.sleep(0)

        await them.end(0)
        assert await asyncio.to_thread(them.disk.began.acquire, timeout=10)
        for _ in "bcde":
            await them.end(0)

        assert await asyncio.gather(*crowded) == [True, True, True]
        assert them.disk.calls.count("sync") == 1 + 4 + 1


@story
async def test_a_sync_that_fails_refuses_what_came_after_it_whatever_their_own_syncs_said() -> None:
    async with crowd() as them:
        await them.add("a")
        await them.add("b")

        await them.end(1)
        them.disk.fail(0)
        them.disk.seconds = 0.0
        ends = await them.ends("a", "b")

        assert [type(end) for end in ends] == [SpoolError, SpoolError]
        assert found(them.disk) == ["first"]
        assert records(them.disk, 2) == [(Kind.VOID, "a"), (Kind.VOID, "b")]
        assert await them.spool.add(envelope_of("a"), b"again")


@pytest.mark.parametrize(("shares", "lost"), [(False, []), (True, ["a"])])
def test_a_later_sync_that_fails_is_told_to_the_earlier_by_a_descriptor_of_its_own(
    shares: bool, lost: Sequence[str]
) -> None:
    """Where all share one, the earlier succeeds, and lies: that is why they do not."""

    async def scenario() -> None:
        async with crowd(shares=shares) as them:
            await them.add("a")
            await them.add("b")

            them.disk.fail(1)
            assert await asyncio.to_thread(them.disk.ended.acquire, timeout=10)
            them.disk.seconds = 0.0
            them.disk.let_through(0)
            a, b = await them.ends("a", "b")

            there = found(them.disk)
            taken = [id for id, end in (("a", a), ("b", b)) if end is True]
            assert [id for id in taken if id not in there] == lost

    asyncio.run(asyncio.wait_for(scenario(), 20))


@story
async def test_a_result_is_written_during_a_sync_and_again_when_that_fails() -> None:
    async with crowd() as them:
        first = message_id("first")
        bob = them.spool.envelope(first).recipients[0]
        await them.add("a")

        state = await them.spool.record(first, {0: deferred(bob, 1.0)})  # nothing is let through
        them.disk.fail(0)
        them.disk.seconds = 0.0
        await them.ends("a")

        assert records(them.disk, 2) == [(Kind.VOID, "a"), (Kind.RESULT, "first")]
        left = them.disk.calmed()
        left.lose_power()
        spool = spool_on(left)
        assert list(spool.envelopes()) == [state]
        let_go(spool)


@story
async def test_a_segment_is_closed_when_its_syncs_are_over() -> None:
    async with crowd() as them:
        await them.add("a")
        await them.add("b")
        retiring = asyncio.create_task(them.spool.retire_due(100.0))
        await asyncio.sleep(0)

        await them.end(1)
        during = list(them.disk.calls)
        them.disk.seconds = 0.0
        them.disk.let_through(0)
        await retiring

        assert "close" not in during
        assert await them.ends("a", "b") == [True, True]
        assert found(them.disk) == ["a", "b", "first"]


class OneThread(threading.Thread):
    """Starts once; for more the machine has no room."""

    started: ClassVar[list[str]] = []

    def start(self) -> None:
        if self.started:
            raise RuntimeError("can't start new thread")
        self.started.append(self.name)
        super().start()


@story
async def test_where_no_more_threads_are_to_be_had_turns_wait_for_the_one_that_is_there() -> None:
    gate = threading.Semaphore(0)
    ended: asyncio.Queue[Turn] = asyncio.Queue()
    lanes = Lanes(lambda *_: bool(gate.acquire(timeout=10)), ended.put_nowait, thread=OneThread)
    turns = [Turn([]), Turn([])]

    for turn in turns:
        lanes.give(turn)
    gate.release(2)

    assert [await ended.get(), await ended.get()] == turns
    await asyncio.to_thread(lanes.end)


@pytest.mark.parametrize(
    ("took", "is_slow"),
    [
        ([0.005], False),
        ([0.005] * 3, True),
        ([0.0002, 0.003, 0.0004, 0.006, 0.0002], False),
        ([0.005] * 9 + [0.0002], False),
    ],
)
def test_a_disk_is_fast_after_one_fast_sync_and_slow_after_some(
    took: Sequence[float], is_slow: bool
) -> None:
    pace = Pace()

    for seconds in took:
        pace.note(seconds)

    assert (pace.seconds > 0.001) is is_slow
