"""What becomes of a message that is to be delivered by some moment (RFC 2852)."""

from mta.model.event import Event, Kind
from mta.model.request import Deadline, Late, MessageRequest

from mta.rules.delivery.deadline import LAST_CALL

from tests.flow.house import DAY, HOUR, LATER, MINUTE, OK, START, UNKNOWN, House, Peer, story


def within(
    seconds: float, if_late: Late = Late.RETURN, *, is_traced: bool = False
) -> MessageRequest:
    return MessageRequest(deadline=Deadline(START + seconds, if_late, is_traced=is_traced))


def event(house: House, kind: Kind) -> Event:
    return next(event for event in house.events if event.kind is kind)


async def wait(house: House, until: float, step: float = LAST_CALL / 2) -> None:
    await house.step()
    while house.now < START + until:
        await house.advance(step)


@story
async def test_it_fails_at_its_deadline_after_a_last_attempt() -> None:
    house = House({"there.test": Peer({"bob": [LATER]})})
    await house.submit("bob@there.test", request=within(10 * MINUTE))

    await wait(house, 11 * MINUTE)

    deferred = [event.at - START for event in house.events if event.kind is Kind.DEFERRED]
    failed = event(house, Kind.FAILED)
    assert deferred == [0, MINUTE, 6 * MINUTE]
    assert failed.at - START == 10 * MINUTE - LAST_CALL
    assert str(failed.reply).startswith("550 5.4.7 the time that its sender gave it is over; ")
    (report,) = house.letters_to("sender.test")
    assert b"Status: 5.4.7" in report.content
    assert b"451 4.7.1 come again later" in report.content


@story
async def test_it_is_delivered_before_its_deadline_as_any_other() -> None:
    house = House({"there.test": Peer({"bob": [LATER, OK]})})
    await house.submit("bob@there.test", request=within(10 * MINUTE))

    await wait(house, 2 * MINUTE)

    assert house.kinds("bob@there.test") == [Kind.DEFERRED, Kind.DELIVERED]
    assert house.letters_to("sender.test") == []


@story
async def test_it_is_not_tried_where_it_comes_due_too_late() -> None:
    peer = Peer()
    house = House({"there.test": peer})
    await house.submit("bob@there.test", request=within(HOUR))
    again = House({"there.test": peer}, spool=house.spool)  # it was down for longer
    again.now = START + 2 * HOUR

    await again.dispatcher.resume(again.queued())
    await again.step()

    assert peer.letters == []
    assert again.kinds("bob@there.test") == [Kind.FAILED]
    (report,) = again.letters_to("sender.test")
    assert b"Status: 5.4.7" in report.content


@story
async def test_it_fails_in_time_where_nobody_can_be_reached() -> None:
    house = House({"there.test": Peer(is_reachable=False)})
    await house.submit("bob@there.test", request=within(10 * MINUTE))

    await wait(house, 11 * MINUTE)

    assert event(house, Kind.FAILED).at - START <= 10 * MINUTE


@story
async def test_its_sender_hears_once_that_it_is_late_and_it_goes_on() -> None:
    house = House({"there.test": Peer({"bob": [LATER]})}, delay_report_after=4 * HOUR)
    await house.submit("bob@there.test", request=within(2 * HOUR, Late.NOTIFY))

    await wait(house, 2 * HOUR - MINUTE, MINUTE)
    assert house.letters_to("sender.test") == []
    await wait(house, 2 * HOUR + 2 * MINUTE, MINUTE)
    (report,) = house.letters_to("sender.test")
    assert b"Action: delayed" in report.content
    await wait(house, 1 * DAY, 10 * MINUTE)

    assert len(house.letters_to("sender.test")) == 1
    assert Kind.FAILED not in house.kinds()


@story
async def test_its_sender_hears_of_the_delay_even_where_nobody_else_does() -> None:
    house = House({"there.test": Peer({"bob": [LATER]})})
    await house.submit("bob@there.test", request=within(-5, Late.NOTIFY))

    await house.step()
    await house.advance(MINUTE + 1)

    assert [b"Action: delayed" in one.content for one in house.letters_to("sender.test")] == [True]


@story
async def test_what_is_dropped_when_it_is_late_is_not_reported() -> None:
    house = House({"there.test": Peer({"bob": [LATER]})})
    await house.submit("bob@there.test", request=within(10 * MINUTE, Late.DROP))

    await wait(house, 11 * MINUTE)

    assert house.kinds("bob@there.test")[-2:] == [Kind.FAILED, Kind.DROPPED]
    assert (
        event(house, Kind.DROPPED).text
        == "its time is over, and its sender wants no report of that"
    )
    assert house.letters_to("sender.test") == []
    assert house.queued() == []


@story
async def test_what_fails_before_it_is_late_is_reported_all_the_same() -> None:
    house = House({"there.test": Peer({"bob": [UNKNOWN]})})
    await house.submit("bob@there.test", request=within(10 * MINUTE, Late.DROP))

    await house.step()

    assert len(house.letters_to("sender.test")) == 1


@story
async def test_a_step_that_is_traced_is_told() -> None:
    house = House({"there.test": Peer()})
    await house.submit("bob@there.test", request=within(HOUR, is_traced=True))

    await house.step()

    (report,) = house.letters_to("sender.test")
    assert b"Action: relayed" in report.content
    assert b"brings it further" in report.content


@story
async def test_a_sender_hears_that_nobody_will_tell_of_a_delay_any_more() -> None:
    house = House({"there.test": Peer(keeps_deadlines=False)})
    await house.submit("bob@there.test", request=within(HOUR, Late.NOTIFY))

    await house.step()

    (report,) = house.letters_to("sender.test")
    assert b"Action: relayed" in report.content
    assert b"tells nobody" in report.content
