"""What a route takes that leads nowhere."""

from mta.model.event import Kind
from mta.model.request import Notice

from mta.rules.delivery.progress import Mode

from mta.flow.delivery.discard import PLACE, Discard

from tests.flow.house import House, Peer, story


def discarding() -> House:
    house = House({"there.test": Peer()}, mode=Mode.SMARTHOST)
    house.relays[""] = [PLACE]
    house.connectors[PLACE] = Discard()
    return house


@story
async def test_what_is_discarded_is_settled_and_an_event_says_so() -> None:
    house = discarding()
    await house.submit("bob@there.test", "ann@there.test")

    await house.step()

    assert house.kinds("bob@there.test") == [Kind.DISCARDED]
    assert house.kinds()[-1] is Kind.SETTLED
    assert house.queued() == []


@story
async def test_nobody_is_told_that_it_was_a_success() -> None:
    house = discarding()
    await house.submit_asking({"bob@there.test": frozenset({Notice.SUCCESS})})

    await house.step()

    assert Kind.REPORTED not in house.kinds()
    assert house.queued() == []
