"""The spool's promises, with the disk in trouble at every single call."""

import asyncio
import copy
import logging
import random
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from mta.model.envelope import Envelope, MessageId, Recipient
from mta.model.trouble import SpoolError

from mta.edge.spool import FileSpool, Keep

from tests.edge.fake_disk import Fault, MemoryDisk, SlowDisk, Stopped
from tests.edge.spool_house import (
    LARGE_SIZE,
    deferred,
    delivered,
    envelope_of,
    let_go,
    message_id,
    reported,
    spool_on,
)

pytestmark = pytest.mark.slow

KEEP = Keep(sent=0, failed=1000)


@dataclass
class Ledger:
    """What was asked of a spool, and what it said."""

    contents: dict[MessageId, bytes] = field(default_factory=dict)
    states: dict[MessageId, list[Envelope]] = field(default_factory=dict)  # that may be found
    taken: set[MessageId] = field(default_factory=set)
    refused: set[MessageId] = field(default_factory=set)
    settling: set[MessageId] = field(default_factory=set)
    settled: set[MessageId] = field(default_factory=set)

    def check(self, found: Mapping[MessageId, tuple[Envelope, bytes]], *, lost_power: bool) -> None:
        """Compare with what a spool holds after a crash."""
        assert set(found) <= set(self.contents), "a message that never was"
        assert self.taken - self.settling <= set(found), "a message is lost"
        for id, (envelope, content) in found.items():
            assert content == self.contents[id], "another content"
            assert envelope in self.states[id], "a state that never was, or an old one"
        if not lost_power:
            assert not self.settled & set(found), "a settled message came back"

    def check_refusals(self, found: Mapping[MessageId, object]) -> None:
        assert not self.refused & set(found), "a refused message came back"


class Customer:
    """Uses a spool as the flow does, and keeps the ledger.

    `may_fall_back`: the power will be lost, and with it perhaps the latest records.
    """

    def __init__(self, spool: FileSpool, ledger: Ledger, *, may_fall_back: bool) -> None:
        self.spool = spool
        self.ledger = ledger
        self._may_fall_back = may_fall_back

    async def add(self, id: str, size: int = 300) -> None:
        content = (id.encode() * size)[:size]
        envelope = envelope_of(id, content)
        self.ledger.contents[envelope.id] = content
        self.ledger.states[envelope.id] = [envelope]
        try:
            if await self.spool.add(envelope, content):
                self.ledger.taken.add(envelope.id)
        except SpoolError:
            self.ledger.refused.add(envelope.id)

    async def record(self, id: str, place: int, change: Callable[[Recipient], Recipient]) -> None:
        if message_id(id) not in self.ledger.taken:
            return
        states = self.ledger.states[message_id(id)]
        changes = {place: change(states[-1].recipients[place])}
        states.append(states[-1].with_recipients(changes))
        with suppress(SpoolError):
            await self.spool.record(message_id(id), changes)
            if not self._may_fall_back:
                del states[:-1]

    async def remove(self, id: str) -> None:
        if message_id(id) not in self.ledger.taken:
            return
        self.ledger.settling.add(message_id(id))
        with suppress(SpoolError):
            await self.spool.remove(message_id(id))
            self.ledger.settled.add(message_id(id))

    async def look(self, id: str) -> None:
        if message_id(id) in self.ledger.taken:
            with suppress(SpoolError):
                assert (
                    await self.spool.content(message_id(id)) == self.ledger.contents[message_id(id)]
                )

    async def retire(self, now: float) -> None:
        with suppress(SpoolError):
            await self.spool.retire_due(now)


Life = Callable[[Customer], Coroutine[object, None, None]]


async def a_life(customer: Customer) -> None:
    """Everything that a spool does, once at least: small, large, together, moved, logged, kept."""
    await customer.add("a")
    await customer.add("b")
    await customer.add("c", LARGE_SIZE)
    await asyncio.gather(*(customer.add(id) for id in ("d", "e", "f")))
    await customer.record("a", 0, lambda recipient: deferred(recipient, 10.0))
    await customer.record("c", 0, delivered)
    await customer.remove("b")
    await customer.retire(100.0)
    await customer.record("a", 1, delivered)
    await customer.record("c", 1, lambda recipient: deferred(recipient, 20.0))
    await customer.add("g")
    await customer.add("h", LARGE_SIZE)
    await customer.remove("d")
    await customer.retire(200.0)
    await customer.record("e", 0, reported)
    await customer.record("e", 1, delivered)
    await customer.remove("e")
    await customer.remove("h")
    await customer.add("i")
    await customer.record("a", 0, lambda recipient: deferred(recipient, 30.0))
    await customer.retire(200.0)
    await customer.remove("c")


def a_busy_life(seed: int) -> Life:
    """Many messages at once, all that can be done to them by chance, and segments retired."""
    chance = random.Random(seed)

    async def message(customer: Customer, id: str) -> None:
        await customer.add(id, chance.choice([10, 300, LARGE_SIZE]))
        for number in range(chance.randrange(4)):
            await asyncio.sleep(chance.random() / 200)
            await customer.record(id, number % 2, lambda recipient: deferred(recipient, 10.0))
            await customer.look(id)
        if chance.random() < 0.6:
            await customer.remove(id)

    async def retire(customer: Customer) -> None:
        for number in range(1, 20):
            await asyncio.sleep(chance.random() / 500)
            await customer.retire(60.0 * chance.randrange(2) * number)

    async def life(customer: Customer) -> None:
        messages = (message(customer, f"m{number}") for number in range(60))
        await asyncio.gather(retire(customer), *messages)

    return life


def live(
    disk: MemoryDisk, life: Life = a_life, *, may_fall_back: bool = False, patience: float = 1.0
) -> Ledger:
    """A life on this disk, until its end or that of the world."""
    ledger = Ledger()
    spool = spool_on(disk, keep=KEEP, patience=patience)
    with suppress(Stopped):
        asyncio.run(life(Customer(spool, ledger, may_fall_back=may_fall_back)))
    let_go(spool)
    return ledger


def recovered(
    disk: MemoryDisk, then_retire: bool = False
) -> dict[MessageId, tuple[Envelope, bytes]]:
    """What a new process finds."""

    async def look() -> dict[MessageId, tuple[Envelope, bytes]]:
        envelopes = list(spool.envelopes())
        found = {one.id: (one, await spool.content(one.id)) for one in envelopes}
        assert len(found) == len(envelopes), "an id twice"
        if then_retire:
            await spool.retire_due(1000.0)
            await spool.close()
        return found

    disk.restart()
    spool = spool_on(disk, keep=KEEP)
    try:
        return asyncio.run(look())
    finally:
        let_go(spool)


def fresh_disk() -> MemoryDisk:
    """A disk with a spool on it that nobody has used."""
    disk = MemoryDisk()
    let_go(spool_on(disk))
    disk.restart()
    return disk


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The log is full of the troubles that we make."""
    caplog.set_level(logging.CRITICAL)


FRESH = fresh_disk()


def calls_of_a_life() -> list[str]:
    disk = copy.deepcopy(FRESH)
    live(disk)
    return disk.calls


CALLS = calls_of_a_life()
OPENING = next(number for number, name in enumerate(CALLS) if name == "create")


def places() -> Iterator[int]:
    """Every call of a life after its start, and the one that never comes."""
    yield from range(OPENING + 1, len(CALLS) + 2)


def check_recovery(disk: MemoryDisk, ledger: Ledger, *, lost_power: bool, refusals: bool) -> None:
    """Recover, use the spool a little, and recover again: it stays as it is."""
    for then_retire in (False, True, True):
        found = recovered(disk, then_retire)
        ledger.check(found, lost_power=lost_power)
        if refusals:
            ledger.check_refusals(found)


@pytest.mark.parametrize(
    ("kind", "lasts"),
    [
        ("stop", True),
        ("short", False),
        ("short", True),
        ("EIO", False),
        ("EIO", True),
        ("ENOSPC", False),
        ("ENOSPC", True),
    ],
)
def test_the_death_of_the_process_loses_nothing_that_returned(kind: str, lasts: bool) -> None:
    for at in places():
        disk = copy.deepcopy(FRESH)
        disk.fault = Fault(kind, at, lasts)

        ledger = live(disk)

        # Where the disk fails for ever, nobody can write down that a message was refused.
        check_recovery(disk, ledger, lost_power=False, refusals=not lasts)
    print(f"\n{kind}, {lasts=}: {len(list(places()))} deaths, three recoveries each")


@pytest.mark.parametrize("kind", ["stop", "EIO"])
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_a_loss_of_power_loses_nothing_that_was_acknowledged(kind: str, seed: int | None) -> None:
    chance = random.Random(seed).random if seed else None
    for at in places():
        disk = copy.deepcopy(FRESH)
        disk.fault = Fault(kind, at)

        ledger = live(disk, may_fall_back=True)
        disk.lose_power(chance)

        check_recovery(disk, ledger, lost_power=True, refusals=kind == "EIO" and not seed)
    print(f"\n{kind}, {seed=}: {len(list(places()))} losses of power, three recoveries each")


@pytest.mark.parametrize("loses_power", [False, True])
def test_a_busy_life_that_is_cut_short_anywhere_loses_nothing(loses_power: bool) -> None:
    found = 0
    for seed in range(40):
        disk = copy.deepcopy(FRESH)
        disk.fault = Fault(
            "stop" if seed % 2 else "EIO", OPENING + random.Random(seed).randrange(900)
        )

        ledger = live(disk, a_busy_life(seed), may_fall_back=loses_power)
        if loses_power:
            disk.lose_power(random.Random(seed).random)

        found += len(ledger.taken)
        check_recovery(disk, ledger, lost_power=loses_power, refusals=False)
    print(f"\n{loses_power=}: 40 busy lives, {found} messages taken")


async def a_life_with_a_second_try(customer: Customer) -> None:
    """What moved to files, or should have, is moved again."""
    await customer.add("a")
    await customer.add("c", LARGE_SIZE)
    await customer.record("c", 0, lambda recipient: deferred(recipient, 10.0))
    for now in (100.0, 200.0):
        await customer.retire(now)
    await customer.record("a", 0, lambda recipient: deferred(recipient, 20.0))
    for now in (300.0, 400.0):
        await customer.retire(now)


def test_what_was_not_synced_at_the_first_try_is_written_anew_at_the_second() -> None:
    dry = copy.deepcopy(FRESH)
    live(dry, a_life_with_a_second_try)
    for at in range(OPENING + 1, len(dry.calls) + 1):
        disk = copy.deepcopy(FRESH)
        disk.fault = Fault("EIO", at)

        ledger = live(disk, a_life_with_a_second_try, may_fall_back=True)
        disk.lose_power()

        check_recovery(disk, ledger, lost_power=True, refusals=True)


async def a_life_of_a_crowd(customer: Customer) -> None:
    """So many messages move together that several batches are under way at once."""
    ids = [f"m{number}" for number in range(200)]
    await asyncio.gather(*(customer.add(id, 10) for id in ids))
    await customer.retire(100.0)
    for id in ids[::2]:
        await customer.record(id, 0, lambda recipient: deferred(recipient, 10.0))
    for id in ids[::3]:
        await customer.remove(id)
    await customer.retire(200.0)
    await customer.retire(200.0)


@pytest.mark.parametrize("loses_power", [False, True])
@pytest.mark.parametrize("kind", ["stop", "EIO"])
def test_batches_that_are_cut_short_anywhere_lose_nothing(kind: str, loses_power: bool) -> None:
    dry = copy.deepcopy(FRESH)
    live(dry, a_life_of_a_crowd)
    moving = dry.calls.index("rename") - 200
    for at in range(moving, len(dry.calls) + 1, 61):
        disk = copy.deepcopy(FRESH)
        disk.fault = Fault(kind, at)

        ledger = live(disk, a_life_of_a_crowd, may_fall_back=loses_power)
        if loses_power:
            disk.lose_power(random.Random(at).random)

        check_recovery(disk, ledger, lost_power=loses_power, refusals=False)


@pytest.mark.parametrize("skipped", ["sync", "sync_folder"])
def test_a_disk_that_skips_its_syncs_is_found_out(skipped: str) -> None:
    lost = 0
    for at in places():
        disk = copy.deepcopy(FRESH)
        disk.skips = skipped
        disk.fault = Fault("stop", at)
        ledger = live(disk, may_fall_back=True)
        disk.lose_power()
        try:
            check_recovery(disk, ledger, lost_power=True, refusals=False)
        except AssertionError:
            lost += 1
    print(f"\nnegative control, no {skipped}: mail lost in {lost} of {len(list(places()))}")

    assert lost > len(list(places())) / 2


def a_life_of_many(seed: int) -> Life:
    """Messages that come, change and go while others are being synced; and segments retired."""
    chance = random.Random(seed)

    async def message(customer: Customer, id: str) -> None:
        await asyncio.sleep(chance.random() / 100)
        await customer.add(id, chance.choice([10, 300]))
        for number in range(chance.randrange(3)):
            await customer.record(id, number % 2, lambda recipient: deferred(recipient, 10.0))
        if chance.random() < 0.6:
            await customer.remove(id)

    async def life(customer: Customer) -> None:
        messages = [message(customer, f"m{number}") for number in range(20)]
        later = [message(customer, f"n{number}") for number in range(10)]
        await asyncio.gather(*messages)
        await asyncio.gather(customer.retire(100.0), *later)
        await customer.retire(200.0)

    return life


def live_slowly(
    at: int, kind: str, *, loses_power: bool, joins: bool = False
) -> tuple[MemoryDisk, Ledger, int]:
    """A life on a slow disk that is hit at call `at`: what is left, and the most syncs at once.

    Where the power is lost, it is so soon after.
    """
    chance = random.Random(at).random
    disk = SlowDisk(0.003, chance, joins=joins)
    disk.root = copy.deepcopy(FRESH.root)
    disk.fault = Fault(kind, at, stops_at=at + int(chance() * 20) if loses_power else None)
    ledger = live(disk, a_life_of_many(at), may_fall_back=loses_power, patience=0.0)
    left = disk.calmed()
    if loses_power:
        left.lose_power(chance if at % 2 else None)
    return left, ledger, disk.most_at_once


@pytest.mark.parametrize("loses_power", [False, True])
@pytest.mark.parametrize("kind", ["stop", "short", "EIO", "ENOSPC"])
def test_several_syncs_at_once_lose_nothing_wherever_they_end(kind: str, loses_power: bool) -> None:
    deaths = range(OPENING + 1, OPENING + 140)
    crowded = 0
    for at in deaths:
        disk, ledger, most = live_slowly(at, kind, loses_power=loses_power)
        crowded += most > 1

        refusals = kind != "stop" and not loses_power
        check_recovery(disk, ledger, lost_power=loses_power, refusals=refusals)
    print(f"\n{kind}, {loses_power=}: {len(deaths)} lives, {crowded} with several syncs at once")

    assert crowded > len(deaths) / 2


def test_a_disk_that_lets_a_sync_join_another_is_found_out() -> None:
    """It vouches for what was written after the other began, as a journal must not."""
    lives = range(OPENING + 1, OPENING + 140)
    lost = 0
    for at in lives:
        disk, ledger, _ = live_slowly(at, "stop", loses_power=True, joins=True)
        try:
            check_recovery(disk, ledger, lost_power=True, refusals=False)
        except AssertionError:
            lost += 1
    print(f"\nnegative control, syncs that join: mail lost in {lost} of {len(lives)}")

    assert lost > len(lives) / 10


@pytest.mark.parametrize("kind", ["stop", "EIO", "ENOSPC"])
def test_recovery_can_be_broken_off_at_any_call_and_run_again(kind: str) -> None:
    deaths = 0
    for first in range(OPENING + 1, len(CALLS) + 2, 25):
        dead = copy.deepcopy(FRESH)
        dead.fault = Fault("stop", first)
        ledger = live(dead)
        dead.restart()
        dead.calls = []
        rest = copy.deepcopy(dead)
        let_go(spool_on(rest, keep=KEEP))
        for at in ends_of_runs(rest.calls):
            disk = copy.deepcopy(dead)
            disk.fault = Fault(kind, at)
            with suppress(Stopped, SpoolError):
                let_go(spool_on(disk, keep=KEEP))
            deaths += 1

            ledger.check(recovered(disk), lost_power=False)
    print(f"\n{kind}: {deaths} recoveries broken off")


def ends_of_runs(calls: list[str]) -> list[int]:
    """The numbers of the calls, without the inner ones of a run of equal calls such as `names`."""
    runs = [0, *(at for at in range(1, len(calls)) if calls[at] != calls[at - 1]), len(calls)]
    return sorted({number for at in runs for number in (at, at + 1) if number > 0})
