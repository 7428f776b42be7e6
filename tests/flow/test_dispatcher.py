"""Who goes when: bounds, fairness, the circuit breaker, stopping."""

import asyncio
import logging
import random
from typing import Literal

from mta.model.event import Kind

from mta.rules.delivery.progress import Mode

from mta.flow.delivery import dispatcher
from mta.flow.delivery.slots import Room

from tests.flow.house import DAY, HOUR, MINUTE, House, Peer, story


@story
async def test_no_more_is_under_way_than_there_is_room_for() -> None:
    crowd, other = Peer(gate=asyncio.Event()), Peer(gate=asyncio.Event())
    house = House({"crowd.test": crowd, "other.test": other}, room=Room(4, 3, 100))
    for _ in range(20):
        await house.submit("bob@crowd.test", "bob@other.test")

    await house.let_run()
    assert crowd.gate is not None
    assert other.gate is not None
    assert crowd.under_way + other.under_way == 4
    crowd.gate.set()
    other.gate.set()
    await house.step()

    assert (len(crowd.letters), len(other.letters)) == (20, 20)


@story
async def test_no_destination_gets_more_connections_than_its_share() -> None:
    crowd = Peer(gate=asyncio.Event())
    house = House({"crowd.test": crowd}, room=Room(100, 3, 100))
    for _ in range(20):
        await house.submit("bob@crowd.test")

    await house.let_run()
    assert crowd.gate is not None
    crowd.gate.set()
    await house.step()

    assert crowd.most_under_way == 3
    assert len(crowd.opened) == 3


@story
async def test_a_slow_domain_with_a_thousand_messages_does_not_delay_another() -> None:
    slow = Peer(gate=asyncio.Event())
    house = House({"slow.test": slow, "quick.test": Peer()}, room=Room(10, 5, 100))
    for _ in range(1000):
        await house.submit("bob@slow.test")
    await house.submit("bob@quick.test")

    await house.let_run()

    assert len(house.letters_to("quick.test")) == 1
    assert slow.letters == []
    assert slow.gate is not None
    slow.gate.set()
    await house.step()
    assert len(slow.letters) == 1000


@story
async def test_a_busy_lane_makes_room_for_others_after_each_message() -> None:
    house = House({"busy.test": Peer(), "other.test": Peer()}, room=Room(1, 1, 1000))
    for _ in range(100):
        await house.submit("bob@busy.test")
    house.dispatcher.start_due()
    await house.submit("bob@other.test")

    await house.step()

    order = [str(event.recipient) for event in house.events if event.kind is Kind.DELIVERED]
    assert order.index("bob@other.test") < 5


@story
async def test_a_destination_out_of_reach_is_left_in_peace_and_probed_with_one_message() -> None:
    dead = Peer(is_reachable=False)
    house = House({"dead.test": dead})
    await house.submit("first@dead.test")
    await house.step()
    assert len(dead.opened) == 1
    for number in range(50):
        await house.submit(f"user{number}@dead.test")

    await house.step()
    assert len(dead.opened) == 1  # all fifty were put off untried
    await house.advance(MINUTE)
    assert len(dead.opened) == 2  # one of them went to see

    dead.is_reachable = True
    await house.advance(HOUR)
    assert len(dead.letters) == 51
    assert house.queued() == []


@story
async def test_in_fallback_mode_mail_for_a_shut_destination_takes_the_second_road_untried() -> None:
    dead = Peer(is_reachable=False)
    house = House({"dead.test": dead}, mode=Mode.FALLBACK)
    for _ in range(5):
        await house.submit("bob@dead.test")
        await house.step()

    assert len(dead.opened) == 1
    assert len(house.letters_to("relay.test")) == 5


@story
async def test_mail_for_a_destination_that_never_comes_back_is_given_up_in_time() -> None:
    house = House({"dead.test": Peer(is_reachable=False)})
    for number in range(3):
        await house.submit(f"user{number}@dead.test")

    for _ in range(6 * 24 * 4):
        await house.advance(HOUR / 4)

    assert house.queued() == []
    assert len(house.letters_to("sender.test")) == 3
    failed_at = [event.at for event in house.events if event.kind is Kind.FAILED]
    assert all(5 * DAY <= at - house.events[0].at <= 5 * DAY + HOUR for at in failed_at)


@story
async def test_nothing_is_sent_while_what_came_of_it_could_not_be_written() -> None:
    peer = Peer(gate=asyncio.Event())
    house = House({"there.test": peer}, room=Room(1, 1, 100))
    for _ in range(3):
        await house.submit("bob@there.test")
    await house.let_run()
    assert peer.gate is not None

    house.spool.is_writable = False
    peer.gate.set()
    await house.let_run()
    assert len(peer.letters) == 1  # it was under way
    house.spool.is_writable = True
    await house.step()

    assert len(peer.letters) == 3


@story
async def test_the_loop_looks_again_for_a_spool_that_can_write() -> None:
    house = House({"there.test": Peer()})
    house.spool.is_writable = False
    loop = asyncio.create_task(house.dispatcher.run())
    await house.submit("bob@there.test")

    await house.let_run()
    assert house.letters_to("there.test") == []
    house.spool.is_writable = True
    await asyncio.wait_for(house.events.settled.wait(), 5)
    await house.dispatcher.stop(limit=1)
    await asyncio.wait_for(loop, 5)

    assert len(house.letters_to("there.test")) == 1


@story
async def test_stopping_lets_what_is_under_way_end() -> None:
    gate = asyncio.Event()
    house = House({"there.test": Peer(gate=gate)})
    await house.submit("bob@there.test")
    await house.let_run()

    asyncio.get_running_loop().call_later(0.01, gate.set)
    await house.dispatcher.stop(limit=10)

    assert len(house.letters_to("there.test")) == 1
    assert house.queued() == []


@story
async def test_stopping_cuts_off_what_does_not_end_in_time_and_keeps_it() -> None:
    house = House({"there.test": Peer(gate=asyncio.Event())})
    await house.submit("bob@there.test")
    await house.let_run()

    await house.dispatcher.stop(limit=0.01)

    assert house.letters_to("there.test") == []
    assert len(house.queued()) == 1


class FinalDot(asyncio.Event):
    """A gate behind which nothing is cut off."""

    async def wait(self) -> Literal[True]:
        try:
            return await super().wait()
        except asyncio.CancelledError:
            return await super().wait()


class Opener(logging.Handler):
    """Opens a gate when something is logged."""

    def __init__(self, gate: asyncio.Event) -> None:
        super().__init__()
        self._gate = gate

    def emit(self, record: logging.LogRecord) -> None:
        assert "waiting for replies" in record.getMessage()
        self._gate.set()


@story
async def test_stopping_waits_for_a_final_dot_and_says_so() -> None:
    gate = FinalDot()
    house = House({"there.test": Peer(gate=gate)})
    await house.submit("bob@there.test")
    await house.let_run()

    opener = Opener(gate)
    dispatcher.log.addHandler(opener)
    async with asyncio.timeout(10):
        await house.dispatcher.stop(limit=0.01)
    dispatcher.log.removeHandler(opener)

    assert len(house.letters_to("there.test")) == 1


@story
async def test_the_loop_wakes_for_new_mail_and_ends_when_told() -> None:
    house = House({"there.test": Peer()})
    loop = asyncio.create_task(house.dispatcher.run())

    await house.submit("bob@there.test")
    await asyncio.wait_for(house.events.settled.wait(), 5)
    await house.dispatcher.stop(limit=1)
    await asyncio.wait_for(loop, 5)

    assert len(house.letters_to("there.test")) == 1


@story
async def test_a_connection_is_kept_a_moment_for_mail_that_follows() -> None:
    peer = Peer()
    house = House({"there.test": peer}, room=Room(10, 10, 100, linger=60))
    for _ in range(3):
        await house.submit("bob@there.test")
        await house.let_run()

    assert len(peer.letters) == 3
    assert len(peer.opened) == 1
    await house.dispatcher.stop(limit=1)


@story
async def test_a_connection_that_nothing_follows_on_is_given_up() -> None:
    peer = Peer()
    house = House({"there.test": peer}, room=Room(10, 10, 100, linger=0.01))
    await house.submit("bob@there.test")
    await house.let_run()
    session = peer.sessions[0]

    await asyncio.wait_for(session.closed.wait(), 5)
    await house.submit("bob@there.test")
    await house.let_run()

    assert len(peer.letters) == 2
    assert len(peer.opened) == 2
    await house.dispatcher.stop(limit=1)


@story
async def test_a_connection_kept_for_nothing_gives_way_to_another_destination() -> None:
    house = House({"there.test": Peer(), "else.test": Peer()}, room=Room(1, 1, 100, linger=60))
    await house.submit("bob@there.test")
    await house.let_run()

    await house.submit("dan@else.test")
    await house.let_run()

    assert len(house.letters_to("else.test")) == 1
    await house.dispatcher.stop(limit=1)


@story
async def test_a_kept_connection_that_the_peer_has_closed_costs_nothing_but_another() -> None:
    peer = Peer()
    house = House({"there.test": peer}, room=Room(10, 10, 100, linger=60))
    await house.submit("bob@there.test")
    await house.let_run()

    peer.sessions[0].breaks_at_next = True
    await house.submit("carol@there.test")
    await house.let_run()

    assert [str(letter.recipients[0]) for letter in peer.letters] == [
        "bob@there.test",
        "carol@there.test",
    ]
    assert len(peer.opened) == 2
    await house.dispatcher.stop(limit=1)


@story
async def test_stopping_does_not_wait_for_connections_kept_for_nothing() -> None:
    house = House({"there.test": Peer()}, room=Room(10, 10, 100, linger=60))
    await house.submit("bob@there.test")
    await house.let_run()

    async with asyncio.timeout(5):
        await house.dispatcher.stop(limit=60)

    assert len(house.letters_to("there.test")) == 1


@story
async def test_mail_that_comes_just_as_a_connection_is_given_up_is_not_lost() -> None:
    chance = random.Random(20261121)
    house = House({"there.test": Peer()}, room=Room(10, 10, 100, linger=0.002))
    loop = asyncio.create_task(house.dispatcher.run())

    for _ in range(300):
        await house.submit("bob@there.test")
        await asyncio.sleep(chance.uniform(0.0015, 0.0025))  # about as long as it is kept
    await house.dispatcher.stop(limit=1)
    await loop

    assert len(house.letters_to("there.test")) + len(house.queued()) == 300
    assert len(house.queued()) <= 1  # that which came last
