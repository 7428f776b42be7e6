"""Who goes first among the mail for one destination (RFC 6710)."""

import asyncio
from dataclasses import replace

import pytest

from mta.model.envelope import MessageId
from mta.model.event import Kind
from mta.model.request import MessageRequest

from mta.rules.delivery.priority import STEP
from mta.rules.pacing.limits import Pacing, SiteChanges

from mta.flow.delivery.slots import Room

from tests.flow.house import HOUR, MINUTE, House, Peer, story


def narrow_house(peer: Peer) -> House:
    """One that sends to a destination one message after the other."""
    return House({"there.test": peer}, room=Room(100, 1, 100))


def order(peer: Peer) -> list[MessageId]:
    return [letter.id for letter in peer.letters]


@story
async def test_what_is_urgent_overtakes_and_what_is_not_is_overtaken() -> None:
    peer = Peer()
    house = narrow_house(peer)
    for priority in (-4, 0, 9, 0, 3, 9):
        await house.submit("bob@there.test", request=MessageRequest(priority=priority))

    await house.step()

    assert order(peer) == ["m3", "m6", "m5", "m2", "m4", "m1"]


@story
async def test_what_has_waited_for_long_is_not_overtaken_any_more() -> None:
    peer = Peer()
    house = narrow_house(peer)
    await house.submit("bob@there.test")
    house.now += 2 * STEP + 1
    await house.submit("bob@there.test", request=MessageRequest(priority=2))
    await house.submit("bob@there.test", request=MessageRequest(priority=3))

    await house.step()

    assert order(peer) == ["m3", "m1", "m2"]


@story
async def test_the_unhurried_goes_in_the_end() -> None:
    peer = Peer()
    house = narrow_house(peer)
    await house.submit("bob@there.test", request=MessageRequest(priority=-9))
    house.now += 9 * STEP + 1
    await house.submit("bob@there.test")

    await house.step()

    assert order(peer) == ["m1", "m2"]


@story
async def test_a_new_road_takes_the_urgent_along() -> None:
    peer = Peer()
    house = narrow_house(peer)
    for priority in (0, 5):
        await house.submit("bob@there.test", request=MessageRequest(priority=priority))

    house.dispatcher.reroute()
    await house.step()

    assert order(peer) == ["m2", "m1"]


# What is one of many, beside what somebody waits for

BULK = MessageRequest(is_bulk=True)
PACE = 10.0  # seconds for each message to the site


def slow_house(*domains: str) -> House:
    """One that may send six messages a minute to all of these together."""
    pacing = Pacing({"big": SiteChanges(connections=2, messages=20, per_hour=360)})
    house = House({domain: Peer() for domain in domains}, room=Room(100, 10, 100, pacing=pacing))
    house.sites = dict.fromkeys(domains, "big")
    return house


async def run(house: House, seconds: float) -> None:
    await house.step()
    end = house.now + seconds
    while house.now < end:
        await house.advance(PACE / 2)


async def send(house: House, count: int, domain: str, request: MessageRequest) -> list[MessageId]:
    replies = [await house.submit(f"bob@{domain}", request=request) for _ in range(count)]
    return [MessageId(reply.text.split()[2]) for reply in replies]


def seconds_of(house: House, ids: list[MessageId]) -> list[float]:
    """How long each of these was under way."""
    took = {event.id: event.seconds for event in house.events if event.kind is Kind.DELIVERED}
    return [took[id] or 0.0 for id in ids]


@pytest.mark.parametrize("domain", ["there.test", "also-there.test"])
def test_a_password_reset_overtakes_a_newsletter_that_came_before(domain: str) -> None:
    @story
    async def told() -> None:
        house = slow_house("there.test", "also-there.test")
        newsletter = await send(house, 600, "there.test", BULK)
        await run(house, 10 * MINUTE)

        resets = []
        for _ in range(5):
            resets += await send(house, 1, domain, MessageRequest())
            await run(house, 3 * MINUTE)
        await run(house, 2 * HOUR)

        assert max(seconds_of(house, resets)) <= 6 * PACE
        assert max(seconds_of(house, newsletter)) <= 605 * PACE + MINUTE

    told()


@pytest.mark.parametrize("domain", ["there.test", "also-there.test"])
def test_bulk_goes_on_at_a_fifth_of_the_pace_whatever_else_there_is(domain: str) -> None:
    @story
    async def told() -> None:
        house = slow_house("there.test", "also-there.test")
        urgent = await send(house, 400, domain, MessageRequest())
        bulk = await send(house, 40, "there.test", BULK)

        await run(house, HOUR)

        sent = [event.id for event in house.events if event.kind is Kind.DELIVERED]
        share = len(set(bulk).intersection(sent)) / len(sent)
        assert len(sent) >= 350
        assert 0.08 <= share <= 0.25
        assert set(urgent).intersection(sent)

    told()


@story
async def test_a_connection_full_of_bulk_gives_way_after_the_message_under_way() -> None:
    first, second = Peer(gate=asyncio.Event()), Peer()
    house = House({"a.test": first, "b.test": second}, room=Room(100, 1, 100))
    house.sites = {"a.test": "big", "b.test": "big"}
    for _ in range(20):
        await house.submit("bob@a.test", request=BULK)
    await house.let_run()
    await house.submit("bob@b.test")
    await house.let_run()

    assert first.gate is not None
    first.gate.set()
    await house.step()

    sent = [event.id for event in house.events if event.kind is Kind.DELIVERED]
    assert sent.index(MessageId("m21")) == 1
    assert len(sent) == 21


@story
async def test_within_a_kind_the_order_is_that_of_priorities_and_of_time() -> None:
    peer = Peer()
    house = narrow_house(peer)
    for request in (BULK, MessageRequest(), replace(BULK, priority=-1), BULK, MessageRequest()):
        await house.submit("bob@there.test", request=request)

    await house.step()

    assert order(peer) == ["m2", "m5", "m1", "m4", "m3"]
