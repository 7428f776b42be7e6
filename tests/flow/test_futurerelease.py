"""What becomes of a message that is to be held back for a while (RFC 4865)."""

from mta.model.event import Kind
from mta.model.request import MessageRequest

from tests.flow.house import DAY, HOUR, LATER, MINUTE, OK, START, House, Peer, story

HELD = MessageRequest(hold_until=START + 6 * DAY)  # for longer than mail is tried


@story
async def test_it_leaves_at_its_time_and_not_before() -> None:
    house = House({"there.test": Peer()})
    await house.submit("bob@there.test", request=HELD)

    await house.advance(6 * DAY - 1)
    assert house.kinds() == [Kind.ACCEPTED]
    await house.advance(1)

    assert len(house.letters_to("there.test")) == 1
    assert house.events[0].next_at == HELD.hold_until


@story
async def test_it_leaves_at_its_time_after_a_restart_too() -> None:
    house = House({"there.test": Peer()})
    await house.submit("bob@there.test", request=HELD)
    again = House({"there.test": Peer()}, spool=house.spool)

    await again.dispatcher.resume(again.queued())
    await again.step()
    assert again.letters_to("there.test") == []
    await again.advance(6 * DAY)

    assert len(again.letters_to("there.test")) == 1


@story
async def test_it_is_tried_for_as_long_as_any_other() -> None:
    house = House({"there.test": Peer({"bob": [LATER]})})
    await house.submit("bob@there.test", request=HELD)

    await house.advance(6 * DAY)
    while house.queued() and house.now < START + 20 * DAY:
        await house.advance(HOUR)

    failed = next(event for event in house.events if event.kind is Kind.FAILED)
    assert failed.at >= START + 11 * DAY
    assert failed.attempts is not None
    assert failed.attempts > 10


@story
async def test_it_is_not_late_while_it_is_held() -> None:
    house = House({"there.test": Peer({"bob": [LATER, OK]})}, delay_report_after=4 * HOUR)
    await house.submit("bob@there.test", request=HELD)

    await house.advance(6 * DAY)
    await house.advance(MINUTE)

    assert house.letters_to("sender.test") == []
    assert house.kinds("bob@there.test") == [Kind.DEFERRED, Kind.DELIVERED]
