"""What senders hear of: failures, delays, what was passed on for good; each once, if wanted."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from mta.model.envelope import Envelope, Letter, MessageId, Recipient, State
from mta.model.event import Kind
from mta.model.request import Notice, Returned
from mta.model.trouble import SpoolError

from mta.rules.dsn import TOGETHER

from tests.flow.house import HOUR, LATER, MINUTE, OK, START, UNKNOWN, House, Peer, story
from tests.flow.memory_spool import MemorySpool

NEVER = frozenset({Notice.NEVER})
SUCCESS = frozenset({Notice.SUCCESS})
FAILURE = frozenset({Notice.FAILURE})
DELAY = frozenset({Notice.DELAY})
ALL = SUCCESS | FAILURE | DELAY


class Crash(BaseException):
    """The end of a process."""


def reports(house: House) -> list[Letter]:
    return house.letters_to("sender.test")


def is_about(report: Letter, *recipients: str) -> bool:
    """Whether it tells of these and of no others."""
    return [
        line.split(b"; ")[1].decode()
        for line in report.content.split(b"\r\n")
        if line.startswith(b"Final-Recipient: ")
    ] == list(recipients)


def late_house(peer: Peer | None = None, spool: MemorySpool | None = None) -> House:
    """One that tells of a delay after four hours, with a peer that takes nothing."""
    peer = peer or Peer({"bob": [LATER], "carol": [LATER]})
    return House({"there.test": peer}, delay_report_after=4 * HOUR, spool=spool)


# Failures


@pytest.mark.parametrize("notices", [NEVER, SUCCESS, DELAY])
def test_a_failure_that_its_sender_does_not_want_to_hear_of_is_dropped(
    notices: frozenset[Notice],
) -> None:
    @story
    async def told() -> None:
        house = House({"there.test": Peer({"bob": [UNKNOWN]})})
        await house.submit_asking({"bob@there.test": notices})

        await house.step()

        assert reports(house) == []
        assert house.queued() == []
        (dropped,) = (event for event in house.events if event.kind is Kind.DROPPED)
        assert dropped.text == "its sender wants no report of a failure"
        assert str(dropped.recipient) == "bob@there.test"
        assert house.spool.kept[0].recipients[0].state is State.REPORTED

    told()


@story
async def test_of_two_that_fail_only_the_one_is_told_that_was_asked_for() -> None:
    house = House({"there.test": Peer({"bob": [UNKNOWN], "carol": [UNKNOWN]})})
    await house.submit_asking({"bob@there.test": NEVER, "carol@there.test": FAILURE})

    await house.step()

    (report,) = reports(house)
    assert is_about(report, "carol@there.test")
    assert house.kinds("bob@there.test") == [Kind.FAILED, Kind.DROPPED]
    assert house.queued() == []


@story
async def test_the_whole_message_comes_back_where_that_was_asked_for() -> None:
    house = House({"there.test": Peer({"bob": [UNKNOWN]})})
    await house.submit_asking({"bob@there.test": None}, returned=Returned.FULL)

    await house.step()

    (report,) = reports(house)
    assert b"Content-Type: message/rfc822\r\n" in report.content
    assert b"\r\n\r\nBody\r\n" in report.content


# Success


@story
async def test_a_success_is_told_where_the_peer_does_not_tell_it() -> None:
    house = House({"there.test": Peer()})
    await house.submit_asking({"bob@there.test": ALL, "carol@there.test": FAILURE})

    await house.step()

    (report,) = reports(house)
    assert report.id == "m1s0"
    assert is_about(report, "bob@there.test")
    assert b"Action: relayed" in report.content
    assert house.kinds("bob@there.test") == [Kind.DELIVERED]
    assert house.queued() == []
    states = [recipient.state for recipient in house.spool.kept[-1].recipients]
    assert states == [State.DELIVERED] * len(states)


@story
async def test_a_success_is_left_to_a_peer_that_tells_it() -> None:
    house = House({"there.test": Peer(offers_dsn=True)})
    await house.submit_asking({"bob@there.test": SUCCESS})

    await house.step()

    assert reports(house) == []
    assert house.queued() == []


@story
async def test_successes_at_several_destinations_are_told_together() -> None:
    house = House({"there.test": Peer(), "else.test": Peer()})
    await house.submit_asking({"bob@there.test": SUCCESS, "dan@else.test": SUCCESS})

    await house.step()

    (report,) = reports(house)
    assert is_about(report, "bob@there.test", "dan@else.test")


@story
async def test_a_success_and_a_failure_are_two_reports() -> None:
    house = House({"there.test": Peer({"bob": [UNKNOWN]})})
    await house.submit_asking({"bob@there.test": ALL, "carol@there.test": ALL})

    await house.step()

    assert [report.id for report in reports(house)] == ["m1r0", "m1s1"]
    assert is_about(reports(house)[1], "carol@there.test")
    assert house.queued() == []


@story
async def test_a_success_of_the_null_sender_is_told_to_nobody() -> None:
    house = House({"there.test": Peer()})
    await house.submit_asking({"bob@there.test": SUCCESS}, sender=None)

    await house.step()

    assert house.kinds() == [Kind.ACCEPTED, Kind.DELIVERED, Kind.SETTLED]
    assert house.queued() == []


@story
async def test_after_a_silent_final_dot_success_is_told_when_it_is_certain() -> None:
    house = House({"there.test": Peer(final=[None])})
    await house.submit_asking({"bob@there.test": SUCCESS})

    await house.step()
    assert reports(house) == []
    await house.advance(10 * MINUTE)

    assert [report.id for report in reports(house)] == ["m1s0"]


@story
async def test_a_success_that_was_not_told_before_a_crash_is_told_after_it() -> None:
    before = House()
    await before.submit_asking({"bob@there.test": SUCCESS})
    envelope = before.queued()[0]
    relayed = replace(envelope.recipients[0], state=State.RELAYED, attempts=1)
    await before.spool.record(envelope.id, {0: relayed})

    after = House({"there.test": Peer()}, spool=before.spool)
    await after.dispatcher.resume(after.queued())
    await after.step()

    assert [report.id for report in reports(after)] == ["m1s0"]
    assert after.letters_to("there.test") == []
    assert after.queued() == []


@story
async def test_a_success_stays_to_be_told_while_its_report_cannot_be_stored() -> None:
    class FullForReports(MemorySpool):
        is_full = True

        async def add(self, envelope: Envelope, content: bytes) -> bool:
            if self.is_full and envelope.sender is None:
                raise SpoolError("the disk is full")
            return await super().add(envelope, content)

    spool = FullForReports()
    house = House({"there.test": Peer()}, spool=spool)
    await house.submit_asking({"bob@there.test": SUCCESS})

    await house.step()
    assert [one.recipients[0].state for one in house.queued()] == [State.RELAYED]
    spool.is_full = False
    await house.advance(TOGETHER)

    assert [report.id for report in reports(house)] == ["m1s0"]
    assert house.queued() == []


# Delays


@story
async def test_a_delay_is_told_at_its_time_although_the_next_attempt_is_far() -> None:
    house = late_house()
    await house.submit("bob@there.test")
    await house.step()
    for _ in range(3):  # the attempts of the second hour and before
        await house.advance(HOUR)
    attempts = house.kinds("bob@there.test").count(Kind.DEFERRED)

    await house.advance(HOUR - 1)
    assert reports(house) == []
    await house.advance(1)

    (report,) = reports(house)
    assert report.id == "m1d"
    assert b"Action: delayed" in report.content
    assert house.kinds("bob@there.test").count(Kind.DEFERRED) <= attempts + 1
    assert house.queued()[0].recipients[0].is_delay_told


@story
async def test_a_delay_is_told_once() -> None:
    house = late_house()
    await house.submit("bob@there.test", "carol@there.test")

    for _ in range(100):
        await house.advance(HOUR)

    (report,) = reports(house)
    assert is_about(report, "bob@there.test", "carol@there.test")


@story
async def test_a_delay_says_when_it_was_tried_what_was_said_and_how_long_it_will_be() -> None:
    house = late_house()
    await house.submit("bob@there.test")
    for _ in range(5):
        await house.advance(HOUR)

    content = reports(house)[0].content

    assert b"\r\nLast-Attempt-Date: Fri, 15 Jan 2027 1" in content
    assert b"\r\nWill-Retry-Until: Wed, 20 Jan 2027 08:00:00 +0000\r\n" in content
    assert b"\r\nDiagnostic-Code: smtp; 451 4.7.1 come again later\r\n" in content


@story
async def test_only_delays_are_told_that_their_sender_wants_to_hear_of() -> None:
    house = late_house(Peer({name: [LATER] for name in ("bob", "carol", "dan", "eve")}))
    await house.submit_asking(
        {
            "bob@there.test": NEVER,
            "carol@there.test": FAILURE,
            "dan@there.test": DELAY,
            "eve@there.test": None,
        }
    )

    for _ in range(6):
        await house.advance(HOUR)

    (report,) = reports(house)
    assert is_about(report, "dan@there.test", "eve@there.test")


@story
async def test_a_delay_that_nobody_wants_to_hear_of_is_not_told() -> None:
    house = late_house()
    await house.submit_asking({"bob@there.test": FAILURE})
    await house.submit("carol@there.test", sender=None)

    for _ in range(6):
        await house.advance(HOUR)

    assert reports(house) == []
    assert len(house.queued()) == 2


@story
async def test_delays_are_told_to_nobody_where_the_settings_say_so() -> None:
    house = House({"there.test": Peer({"bob": [LATER]})})
    await house.submit("bob@there.test")

    for _ in range(100):
        await house.advance(HOUR)

    assert reports(house) == []


@story
async def test_what_arrives_at_the_last_moment_is_not_called_late() -> None:
    peer = Peer(is_reachable=False)
    house = late_house(peer)
    await house.submit("bob@there.test")
    await house.step()
    for _ in range(3):
        await house.advance(HOUR)

    house.now = house.queued()[0].recipients[0].next_at
    house.now = max(house.now, house.events[0].at + 4 * HOUR)
    peer.is_reachable = True
    await house.step()
    await house.settlement.report_overdue()

    assert reports(house) == []
    assert house.queued() == []


@story
async def test_a_delay_is_told_while_an_attempt_drags_on() -> None:
    peer = Peer({"bob": [LATER, OK]})
    house = late_house(peer)
    await house.submit("bob@there.test")
    await house.step()
    peer.gate = asyncio.Event()

    for seconds in (4 * HOUR, TOGETHER):
        house.now += seconds
        await house.settlement.report_overdue()
        await house.let_run()
    told = [report.id for report in reports(house)]
    peer.gate.set()
    await house.step()

    assert told == ["m1d"]
    assert house.kinds("bob@there.test") == [Kind.DEFERRED, Kind.DELIVERED]
    assert house.queued() == []


@story
async def test_a_delay_that_was_told_during_an_attempt_is_not_told_again_after_it() -> None:
    peer = Peer({"bob": [LATER]})
    house = late_house(peer)
    await house.submit("bob@there.test")
    await house.step()
    peer.gate = asyncio.Event()
    for seconds in (4 * HOUR, TOGETHER):
        house.now += seconds
        await house.settlement.report_overdue()
        await house.let_run()

    peer.gate.set()
    await house.step()

    assert house.kinds("bob@there.test") == [Kind.DEFERRED, Kind.DEFERRED]
    assert house.queued()[0].recipients[0].is_delay_told


@story
async def test_what_came_due_while_we_were_down_is_tried_before_it_is_called_late() -> None:
    before = late_house()
    await before.submit("bob@there.test")
    await before.step()

    after = late_house(Peer(), spool=before.spool)
    after.now = before.now + 5 * HOUR
    await after.dispatcher.resume(after.queued())
    await after.settlement.report_overdue()
    await after.step()
    await after.advance(TOGETHER)

    assert reports(after) == []
    assert after.queued() == []


@story
async def test_a_delay_is_told_once_over_restarts() -> None:
    spool = MemorySpool()
    now = START
    told = []
    for hours in range(8):
        house = late_house(spool=spool)
        house.now = now = now + HOUR
        if not hours:
            await house.submit("bob@there.test")
        await house.dispatcher.resume(house.queued())
        await house.step()
        await house.advance(2 * TOGETHER)
        told += [report.id for report in reports(house)]

    assert told == ["m1d"]


@story
async def test_a_delay_whose_report_was_stored_before_a_crash_is_not_told_again() -> None:
    class ForgetsThatItWasTold(MemorySpool):
        async def record(self, id: MessageId, changes: Mapping[int, Recipient]) -> Envelope:
            if any(one.is_delay_told for one in changes.values()):
                raise Crash
            return await super().record(id, changes)

    before = late_house(spool=ForgetsThatItWasTold())
    await before.submit("bob@there.test", "carol@there.test")
    await before.step()
    before.now += 4 * HOUR
    with pytest.raises(Crash):
        await before.settlement.report_overdue()
    kept = before.spool
    assert [one.id for one in kept.envelopes()] == ["m1", "m1d"]

    after = late_house(Peer({"bob": [LATER]}), spool=MemorySpool.of(kept))
    after.now = before.now
    await after.dispatcher.resume(after.queued())
    await after.step()
    await after.advance(2 * TOGETHER)

    assert [report.id for report in reports(after)] == ["m1d"]
    assert [one.address.local for one in after.queued()[0].recipients if one.is_delay_told] == [
        "bob"
    ]


@story
async def test_a_report_on_delays_that_fails_is_dropped() -> None:
    house = late_house()
    house.peers["sender.test"].replies = {"ann": [UNKNOWN]}
    await house.submit("bob@there.test")

    for _ in range(6):
        await house.advance(HOUR)

    assert house.kinds().count(Kind.DROPPED) == 1
    assert [one.id for one in house.queued()] == ["m1"]


@story
async def test_a_new_setting_counts_for_mail_that_waits() -> None:
    house = late_house()
    await house.submit("bob@there.test")
    await house.step()

    house.settlement.renew(replace(house.settlement.terms, delay_report_after=HOUR))
    await house.advance(HOUR)

    assert [report.id for report in reports(house)] == ["m1d"]


@pytest.mark.parametrize(("before", "after"), [(4 * HOUR, 4 * HOUR), (0.0, 4 * HOUR)])
def test_new_settings_leave_a_delay_to_its_time(before: float, after: float) -> None:
    @story
    async def told() -> None:
        house = House({"there.test": Peer({"bob": [LATER]})}, delay_report_after=before)
        await house.submit("bob@there.test")
        await house.step()

        house.settlement.renew(replace(house.settlement.terms, delay_report_after=after))
        await house.advance(4 * HOUR - 1)
        early = len(reports(house))
        await house.advance(1)

        assert (early, len(reports(house))) == (0, 1)

    told()
