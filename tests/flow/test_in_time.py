"""Whatever the world is like: nothing is delivered after its deadline, or waits beyond it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.model.domain import Host, TlsDemand
from mta.model.envelope import Letter, MessageId, Road
from mta.model.event import Kind
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict, broken
from mta.model.request import Deadline, Late, MessageRequest

from mta.rules.delivery.deadline import is_over, objection
from mta.rules.delivery.fallback import FallbackPlan
from mta.rules.delivery.progress import Mode
from mta.rules.pacing.limits import Pacing, SiteChanges

from mta.flow.delivery.settlement import Terms
from mta.flow.delivery.slots import Room

from tests.flow.house import (
    BLOCKED,
    LATER,
    OK,
    PLAN,
    START,
    TLS,
    FakeSession,
    FakeWorld,
    House,
    Peer,
)

STEP = 7.0  # seconds between looks
LONGEST = 900.0  # seconds of a deadline
RATE = Reply(421, "too many messages from your address, slow down", 7, 0)
FULL = Reply(452, "mailbox full", 2, 2)


@dataclass(frozen=True)
class Manner:
    """How a peer is for a while: `connecting` and `taking` are seconds that it needs."""

    reply: Reply = OK
    is_reachable: bool = True
    is_silent: bool = False  # after the final dot
    connecting: float = 0.0
    taking: float = 0.0


@dataclass
class TimedWorld(FakeWorld):
    """Peers that change their manners, and take time by a clock that is the house's."""

    house: House
    manners: dict[str, list[Manner]]  # by host, one after the other, `span` seconds each
    span: float
    dots: list[tuple[MessageId, str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__({name.removeprefix("mx."): Peer() for name in self.manners})

    def manner_of(self, host: str) -> Manner:
        manners = self.manners[host]
        return manners[int((self.house.now - START) / self.span) % len(manners)]

    async def open(self, host: Host, demand: TlsDemand) -> FakeSession | Outcome:
        del demand
        manner = self.manner_of(host.name)
        self.house.now += manner.connecting
        if not manner.is_reachable:
            return broken(Stage.CONNECT, host, "no answer", detail=1)
        return TimedSession(host, self.peers[host.name], self)


class TimedSession(FakeSession):
    """Looks at the deadline where the real one does: before MAIL, and before the final dot."""

    def __init__(self, host: Host, peer: Peer, world: TimedWorld) -> None:
        super().__init__(host, peer, TLS)
        self._world = world

    async def send(self, letter: Letter) -> tuple[Outcome, ...]:
        world, by = self._world, letter.request.deadline
        manner = world.manner_of(self.host.name)
        if by is not None:
            reply = objection(by, world.house.now, is_offered=True, least=0)
            if reply is not None:
                return (Outcome(Verdict.FAILED, reply, Stage.SENDER, Scope.HOST, self.host),)
        world.house.now += manner.taking
        await asyncio.sleep(0)
        if is_over(by, world.house.now):
            self.is_usable = False
            return (broken(Stage.CONTENT, self.host, "over", detail=7),)
        if manner.reply == OK:
            world.dots.append((letter.id, self.host.name, world.house.now))
        self._peer.replies = {"bob": [manner.reply]}
        self._peer.final = [None] if manner.is_silent else []
        return await super().send(letter)


seconds = st.sampled_from([0.0, 0.0, 1.0, 20.0, 200.0])
manners = st.lists(
    st.builds(
        Manner,
        reply=st.sampled_from([OK, OK, LATER, RATE, BLOCKED, FULL]),
        is_reachable=st.sampled_from([True, True, False]),
        is_silent=st.sampled_from([False, False, True]),
        connecting=seconds,
        taking=seconds,
    ),
    min_size=1,
    max_size=4,
)
deadlines = st.builds(
    Deadline,
    st.floats(1.0, LONGEST).map(lambda after: START + after),
    st.sampled_from([Late.RETURN, Late.DROP, Late.FAIL]),
)
plans = st.builds(
    FallbackPlan,
    reasons=st.frozensets(st.sampled_from(sorted(FallbackPlan().reasons))),
    before_deadline=st.sampled_from([0.0, 60.0, 600.0]),
    shut_for=st.sampled_from([30.0, 900.0]),
)


@contextmanager
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@settings(max_examples=60, deadline=None)
@given(
    direct=manners,
    second=manners,
    span=st.sampled_from([30.0, 120.0, 1_000.0]),
    deadlines=st.lists(deadlines, min_size=1, max_size=4),
    others=st.integers(0, 30),
    mode=st.sampled_from(Mode),
    plan=plans,
    per_hour=st.sampled_from([None, 60.0, 600.0]),
)
def test_nothing_is_delivered_after_its_deadline(
    direct: list[Manner],
    second: list[Manner],
    span: float,
    deadlines: list[Deadline],
    others: int,
    mode: Mode,
    plan: FallbackPlan,
    per_hour: float | None,
) -> None:
    pacing = Pacing({"there.test": SiteChanges(connections=1, per_hour=per_hour)})
    house = House(mode=mode, room=Room(3, 2, 5, pacing=pacing))
    house.settlement.renew(Terms(mode, PLAN, fallback=plan))
    world = TimedWorld(
        house,
        {"mx.there.test": direct, "mx.relay.test": second, "mx.sender.test": [Manner()]},
        span,
    )
    house.world = world
    requests = [MessageRequest(deadline=by) for by in deadlines]

    with loop() as runner:
        runner.run(carry(house, requests, others))

    for place, by in enumerate(deadlines):
        id = MessageId(f"m{others + place + 1}")
        dots = [dot for dot in world.dots if dot[0] == id]
        assert all(at < by.at for _, _, at in dots), (dots, by)
        ends = [event for event in house.events if event.id == id and event.kind in _ENDS]
        assert ends, "it waits beyond its deadline"
        assert ends[0].at <= by.at + STEP + LATENESS
        hosts = [host for _, host, _ in dots]
        is_doubtful = [
            event for event in house.events if event.id == id and _is_silence(event.reply)
        ]
        assert len(hosts) <= 1 or (is_doubtful and len(set(hosts)) == 1)


_ENDS = {Kind.DELIVERED, Kind.FAILED}
LATENESS = 1_700.0  # one attempt may be under way: each of its steps takes 200 seconds at most


def _is_silence(reply: Reply | None) -> bool:
    return reply is not None and reply.text == "silence"


async def carry(house: House, requests: list[MessageRequest], others: int) -> None:
    """Hand all of it in, and let it run until every deadline is over."""
    for _ in range(others):
        await house.submit("bob@there.test")
    for request in requests:
        await house.submit("bob@there.test", request=request)
    await house.step()
    while house.now < START + LONGEST + 2 * STEP:
        await house.advance(STEP)


def test_a_world_without_trouble_delivers_all_of_it() -> None:
    """The property above is not true for want of deliveries."""
    house = House(mode=Mode.FALLBACK)
    world = TimedWorld(house, {"mx.there.test": [Manner()], "mx.relay.test": [Manner()]}, 60.0)
    house.world = world
    request = MessageRequest(deadline=Deadline(START + 60.0, Late.FAIL))

    with loop() as runner:
        runner.run(carry(house, [request, replace(request, is_bulk=True)], 3))

    assert {host for _, host, _ in world.dots} == {"mx.there.test"}
    assert len(world.dots) == 5


def test_what_has_no_turn_on_the_direct_road_takes_the_second_one_in_time() -> None:
    """A site that takes one message a minute, and a hundred that came before."""
    pacing = Pacing({"there.test": SiteChanges(connections=1, messages=1, per_hour=60.0)})
    house = House(mode=Mode.FALLBACK, room=Room(10, 10, 10, pacing=pacing))
    world = TimedWorld(house, {"mx.there.test": [Manner()], "mx.relay.test": [Manner()]}, 60.0)
    house.world = world
    by = Deadline(START + 800.0, Late.FAIL)

    with loop() as runner:
        runner.run(carry(house, [MessageRequest(deadline=by)], 100))

    (dot,) = [dot for dot in world.dots if dot[0] == "m101"]
    assert dot[1] == "mx.relay.test"
    assert dot[2] - START <= 400.0 + STEP  # half of its time
    (moved,) = [event for event in house.events if event.kind is Kind.REROUTED]
    assert (moved.text, moved.road) == ("deadline", Road.SMARTHOST)
    assert moved.reply is not None
    assert "no room for it" in moved.reply.text
