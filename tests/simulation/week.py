"""The traffic of a week, and what becomes of it with and without heed of what receivers say."""

import asyncio
import random
from bisect import insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mta.model.event import Event, Kind
from mta.model.pace import Trouble

from mta.rules.pacing.limits import Pacing

from mta.flow.delivery.slots import Room, Slots

from tests.flow.house import DAY, HOUR, MINUTE, START, House, Peer
from tests.simulation.receivers import (
    DeadIpv6,
    Gmail,
    Greylister,
    Outlook,
    Receiver,
    Tarpit,
    Yahoo,
)
from tests.simulation.world import SimulatedWorld

NEWSLETTERS = (10 * HOUR, 3 * DAY + 10 * HOUR)  # seconds into the week


@dataclass(frozen=True)
class Share:
    """One receiver's part: messages an hour all week, and in each newsletter."""

    site: str
    host: str
    character: Callable[[], Receiver]
    per_hour: int
    newsletter: int


SHARES: Mapping[str, Share] = {
    "gmail.test": Share(
        "google",
        "aspmx.l.google.com",
        lambda: Gmail(burst=500, per_hour=1_500, patience=300),
        *(60, 3_000),
    ),
    "outlook.test": Share(
        "microsoft-consumer",
        "outlook-test.olc.protection.outlook.com",
        lambda: Outlook(burst=200, per_hour=600, patience=200),
        *(20, 1_500),
    ),
    "yahoo.test": Share(
        "yahoo",
        "mta5.am0.yahoodns.net",
        lambda: Yahoo(burst=300, seconds=HOUR, patience=150),
        *(15, 1_000),
    ),
    "greylist.test": Share("greylist.test", "mx.greylist.test", Greylister, 5, 50),
    "tarpit.test": Share("tarpit.test", "mx.tarpit.test", Tarpit, 5, 50),
    "ipv6.test": Share("ipv6.test", "mx.ipv6.test", DeadIpv6, 5, 50),
}


class DeafSlots(Slots):
    """Slots that do not hear what receivers say."""

    def report(self, site: str, *, sent: int, trouble: Trouble | None = None) -> None:
        super().report(site, sent=sent)


@dataclass
class Fate:
    """What became of the mail for one domain; waits are in seconds."""

    sent: int = 0
    delivered: int = 0
    failed: int = 0
    refusals: int = 0
    blocks: int = 0
    waits: list[float] = field(default_factory=list)

    def wait(self, part: float) -> float:
        """How long this part of what was delivered took at most."""
        return self.waits[min(len(self.waits) - 1, int(part * len(self.waits)))]


@dataclass
class Report:
    """What became of all; `queue` has how many waited for each domain, each `step` seconds."""

    fates: dict[str, Fate]
    queue: dict[str, list[int]]
    step: float

    @property
    def blocks(self) -> int:
        """How many blocks were earned."""
        return sum(fate.blocks for fate in self.fates.values())


def traffic(days: float, scale: float, seed: int) -> list[tuple[float, str]]:
    """When which domain is sent a message, in order; moments are seconds from the beginning."""
    chance = random.Random(seed)
    found: list[tuple[float, str]] = []
    for domain, share in SHARES.items():
        steady = int(share.per_hour * scale * days * 24)
        found += [(chance.uniform(0, days * DAY), domain) for _ in range(steady)]
        for at in NEWSLETTERS:
            if at < days * DAY:
                found += [(at, domain)] * int(share.newsletter * scale)
    return sorted(found)


class Week:
    """A server, its receivers, and a clock that leaps."""

    def __init__(self, *, heeds: bool, scale: float = 1.0, seed: int = 1) -> None:
        self._chance = random.Random(seed)
        self._scale = scale
        self._loop = asyncio.get_running_loop()
        self.receivers = {domain: share.character() for domain, share in SHARES.items()}
        self.house = SimulatedHouse(self.receivers, heeds=heeds)
        self.house.settlement._chance = self._chance.random
        self.fates = {domain: Fate() for domain in SHARES}
        self._waiting = dict.fromkeys(SHARES, 0)
        self._queue: dict[str, list[int]] = {domain: [] for domain in SHARES}

    async def run(self, days: float, step: float = 10 * MINUTE) -> Report:
        """Live through so many days and one more, in which what waits may go."""
        dispatcher = asyncio.create_task(self.house.dispatcher.run())
        plans = iter(traffic(days, self._scale, 2))
        plan = next(plans, None)
        at = 0.0
        while at < (days + 1) * DAY:
            at += step
            while plan is not None and plan[0] < at:
                await self._sleep_until(plan[0])
                await self._submit(plan[1])
                plan = next(plans, None)
            await self._sleep_until(at)
            await self.house.settlement.report_overdue()
            self._take_events()
            for domain, count in self._waiting.items():
                self._queue[domain].append(count)
        await self.house.dispatcher.stop(0)
        await dispatcher
        for domain, receiver in self.receivers.items():
            fate = self.fates[domain]
            fate.blocks, fate.refusals = receiver.blocks, receiver.refusals
        return Report(self.fates, self._queue, step)

    async def _submit(self, domain: str) -> None:
        local = "popular" if self._chance.random() < 0.05 else f"u{self._chance.randrange(10**9)}"
        await self.house.submit(f"{local}@{domain}")
        self.fates[domain].sent += 1
        self._waiting[domain] += 1

    async def _sleep_until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, at - self._loop.time()))

    def _take_events(self) -> None:
        for domain, event in _ends(self.house.events):
            fate = self.fates[domain]
            self._waiting[domain] -= 1
            if event.kind is Kind.FAILED:
                fate.failed += 1
            else:
                fate.delivered += 1
                insort(fate.waits, event.seconds or 0.0)
        self.house.events.clear()


def _ends(events: Sequence[Event]) -> Iterator[tuple[str, Event]]:
    for event in events:
        if event.kind in (Kind.DELIVERED, Kind.FAILED) and event.recipient is not None:
            domain = event.recipient.domain
            if domain in SHARES:
                yield domain, event


class SimulatedHouse(House):
    """A server on the loop's clock, in a simulated world; deaf to its receivers, or not."""

    def __init__(self, receivers: Mapping[str, Receiver], *, heeds: bool) -> None:
        self._loop = asyncio.get_running_loop()
        pacing = Pacing() if heeds else Pacing({})
        room = Room(200, 20, 100, pacing=pacing)
        super().__init__(
            {domain: Peer() for domain in receivers},
            room=room,
            hold_for=DAY if heeds else 0.0,
        )
        if not heeds:
            self.slots = self.dispatcher._slots = DeafSlots(room, clock=self.clock)
            self.slots.join(self.dispatcher)
        hosts = {domain: SHARES[domain].host for domain in receivers}
        self.world = SimulatedWorld(self.peers, hosts, receivers)
        self.sites.update({domain: SHARES[domain].site for domain in receivers})

    def clock(self) -> float:
        return START + self._loop.time()
