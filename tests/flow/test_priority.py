"""Who goes first among the mail for one destination (RFC 6710)."""

from mta.model.envelope import MessageId
from mta.model.request import MessageRequest

from mta.rules.delivery.priority import STEP

from mta.flow.slots import Room

from tests.flow.house import House, Peer, story


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
