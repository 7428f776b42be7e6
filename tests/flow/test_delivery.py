"""The life of a message, from the door to its settlement."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from mta.model.domain import Answer, Finding, TlsLevel
from mta.model.envelope import Envelope, MessageId, Recipient, Road, State
from mta.model.event import Kind
from mta.model.outcome import Reply
from mta.model.trouble import SpoolError

from mta.rules.delivery.progress import Mode
from mta.rules.dsn import TOGETHER

from tests.flow.house import (
    BLOCKED,
    DAY,
    HOUR,
    LATER,
    MINUTE,
    UNKNOWN,
    House,
    Peer,
    story,
)
from tests.flow.memory_spool import MemorySpool


@story
async def test_a_message_is_delivered_and_forgotten() -> None:
    house = House({"there.test": Peer()})
    await house.submit("bob@there.test")

    await house.step()

    (letter,) = house.letters_to("there.test")
    assert [str(recipient) for recipient in letter.recipients] == ["bob@there.test"]
    assert house.queued() == []
    assert house.kinds() == [Kind.ACCEPTED, Kind.DELIVERED, Kind.SETTLED]


@story
async def test_a_message_is_called_settled_when_its_end_is_written() -> None:
    said: list[list[Kind]] = []

    class WatchedSpool(MemorySpool):
        async def remove(self, id: MessageId) -> None:
            said.append(house.kinds())
            await super().remove(id)

    house = House({"there.test": Peer()}, spool=WatchedSpool())
    await house.submit("bob@there.test")

    await house.step()

    assert said == [[Kind.ACCEPTED, Kind.DELIVERED]]
    assert house.kinds() == [Kind.ACCEPTED, Kind.DELIVERED, Kind.SETTLED]


@story
async def test_recipients_of_one_destination_share_a_transaction() -> None:
    house = House({"there.test": Peer(), "else.test": Peer()})
    await house.submit("bob@there.test", "dan@else.test", "carol@there.test")

    await house.step()

    assert [len(letter.recipients) for letter in house.letters_to("there.test")] == [2]
    assert [len(letter.recipients) for letter in house.letters_to("else.test")] == [1]


@story
async def test_more_recipients_than_a_server_must_take_go_in_several_transactions() -> None:
    house = House({"there.test": Peer()})
    await house.submit(*(f"user{number}@there.test" for number in range(250)))

    await house.step()

    assert [len(letter.recipients) for letter in house.letters_to("there.test")] == [100, 100, 50]


@story
async def test_recipients_too_many_for_the_peer_follow_at_once() -> None:
    house = House({"there.test": Peer(recipients_at_once=2)})
    await house.submit(*(f"user{number}@there.test" for number in range(5)))

    await house.step()

    assert [len(letter.recipients) for letter in house.letters_to("there.test")] == [2, 2, 1]
    assert house.queued() == []


@story
async def test_a_deferred_recipient_is_tried_again_on_schedule_and_the_others_are_not() -> None:
    house = House({"there.test": Peer({"bob": [LATER, Reply(250, "OK")]})})
    await house.submit("bob@there.test", "carol@there.test")

    await house.step()
    assert [r.state for r in house.queued()[0].recipients] == [State.WAITING, State.DELIVERED]
    await house.advance(MINUTE - 1)
    assert len(house.letters_to("there.test")) == 1
    await house.advance(1)

    second = house.letters_to("there.test")[1]
    assert [str(recipient) for recipient in second.recipients] == ["bob@there.test"]
    assert house.queued() == []


@story
async def test_a_refusal_comes_back_as_a_report_to_the_sender() -> None:
    house = House({"there.test": Peer({"bob": [UNKNOWN]})})
    await house.submit("bob@there.test")

    await house.step()

    (report,) = house.letters_to("sender.test")
    assert report.sender is None
    assert report.id == "m1r0"
    assert b"Final-Recipient: rfc822; bob@there.test" in report.content
    assert b"550 5.1.1 no such user" in report.content
    assert b"Subject: hello" in report.content
    assert report.content.startswith(b"DKIM-Signature: d=mta.test")
    assert house.queued() == []


@story
async def test_a_report_that_fails_is_dropped_not_reported() -> None:
    house = House({"there.test": Peer({"bob": [UNKNOWN]}), "sender.test": Peer({"ann": [UNKNOWN]})})
    await house.submit("bob@there.test")

    await house.step()

    assert house.queued() == []
    assert house.kinds().count(Kind.REPORTED) == 1
    assert house.kinds().count(Kind.DROPPED) == 1


@story
async def test_recipients_that_fail_together_are_reported_together() -> None:
    house = House(
        {
            "there.test": Peer({"bob": [UNKNOWN], "carol": [UNKNOWN]}),
            "else.test": Peer({"dan": [UNKNOWN]}),
        }
    )
    await house.submit("bob@there.test", "dan@else.test", "carol@there.test", "eve@there.test")

    await house.step()

    (report,) = house.letters_to("sender.test")
    for name in (b"bob@there.test", b"carol@there.test", b"dan@else.test"):
        assert b"Final-Recipient: rfc822; " + name in report.content
    assert b"eve@there.test" not in report.content


@story
async def test_a_failure_waits_a_minute_for_the_others_and_no_longer() -> None:
    stuck = Peer(gate=asyncio.Event())
    house = House({"there.test": Peer({"bob": [UNKNOWN]}), "stuck.test": stuck})
    await house.submit("bob@there.test", "dan@stuck.test")

    await house.let_run()
    assert house.letters_to("sender.test") == []
    house.now += TOGETHER
    await house.settlement.report_overdue()
    await house.let_run()

    assert [report.id for report in house.letters_to("sender.test")] == ["m1r0"]
    assert stuck.gate is not None
    stuck.gate.set()
    await house.step()
    assert house.queued() == []


@story
async def test_a_failure_does_not_wait_for_recipients_that_are_merely_deferred() -> None:
    house = House({"there.test": Peer({"bob": [UNKNOWN], "carol": [LATER, UNKNOWN]})})
    await house.submit("bob@there.test", "carol@there.test")

    await house.step()
    await house.advance(MINUTE)

    reports = house.letters_to("sender.test")
    assert [report.id for report in reports] == ["m1r0", "m1r1"]
    assert b"carol" not in reports[0].content.split(b"delivery-status")[1]


@story
async def test_what_is_never_taken_is_given_up_after_five_days_with_the_last_reply() -> None:
    house = House({"there.test": Peer({"bob": [LATER]})})
    await house.submit("bob@there.test")

    for _ in range(5 * 24):
        await house.advance(HOUR)

    (report,) = house.letters_to("sender.test")
    assert b"Status: 4.7.1" in report.content
    assert b"come again later" in report.content
    assert house.queued() == []
    assert house.events[-1].at - house.events[0].at == 5 * DAY
    deferrals = house.kinds("bob@there.test").count(Kind.DEFERRED)
    assert 18 <= deferrals <= 22


@story
async def test_after_a_silent_final_dot_the_same_road_is_tried_ten_minutes_later() -> None:
    peer = Peer(final=[None])
    house = House({"there.test": peer}, mode=Mode.FALLBACK)
    await house.submit("bob@there.test")

    await house.step()
    await house.advance(9 * MINUTE)
    assert house.queued()[0].recipients[0].may_have_arrived
    peer.is_reachable = False  # were it not for the dot, this would open the second road
    await house.advance(MINUTE)
    peer.is_reachable = True
    await house.advance(HOUR)

    assert house.letters_to("relay.test") == []
    assert len(house.letters_to("there.test")) == 1


@story
async def test_a_domain_that_does_not_exist_fails_at_once() -> None:
    house = House()
    await house.submit("bob@nowhere.test")

    await house.step()

    (report,) = house.letters_to("sender.test")
    assert b"Status: 5.1.2" in report.content


@story
async def test_a_domain_that_cannot_be_looked_up_waits() -> None:
    house = House({"there.test": Peer()})
    house.world.mx_answers["there.test"] = Answer(Finding.UNKNOWN, text="SERVFAIL")
    await house.submit("bob@there.test")

    await house.step()
    del house.world.mx_answers["there.test"]
    await house.advance(MINUTE)

    assert house.kinds("bob@there.test") == [Kind.DEFERRED, Kind.DELIVERED]


@story
async def test_a_failed_handshake_is_followed_by_one_try_in_clear() -> None:
    peer = Peer(breaks_tls=True)
    house = House({"there.test": peer})
    await house.submit("bob@there.test")

    await house.step()

    assert [demand.level for demand in peer.opened] == [TlsLevel.OPPORTUNISTIC, TlsLevel.NONE]
    delivered = next(event for event in house.events if event.kind is Kind.DELIVERED)
    assert delivered.tls is None


@story
async def test_smarthost_mode_takes_everything_to_the_smarthost_in_one_transaction() -> None:
    house = House({"there.test": Peer(), "else.test": Peer()}, mode=Mode.SMARTHOST)
    await house.submit("bob@there.test", "dan@else.test")

    await house.step()

    assert [len(letter.recipients) for letter in house.letters_to("relay.test")] == [2]
    assert house.letters_to("there.test") == []
    assert house.world.queries == []


@story
async def test_fallback_takes_the_second_road_when_the_first_cannot_be_had() -> None:
    for peer, reason in (
        (Peer(is_reachable=False), "connect"),
        (Peer(greeting=Reply(554, "go away")), "blocked"),
        (Peer({"bob": [BLOCKED]}), "blocked"),
    ):
        house = House({"there.test": peer}, mode=Mode.FALLBACK)
        await house.submit("bob@there.test")

        await house.step()

        assert len(house.letters_to("relay.test")) == 1
        assert house.kinds("bob@there.test") == [Kind.REROUTED, Kind.DELIVERED]
        rerouted = next(event for event in house.events if event.kind is Kind.REROUTED)
        assert rerouted.text == reason
        assert next(e for e in house.events if e.kind is Kind.DELIVERED).road is Road.SMARTHOST


@story
async def test_fallback_does_not_help_who_does_not_exist() -> None:
    house = House({"there.test": Peer({"bob": [UNKNOWN]})}, mode=Mode.FALLBACK)
    await house.submit("bob@there.test", "carol@nowhere.test")

    await house.step()

    assert house.letters_to("relay.test") == []
    assert len(house.letters_to("sender.test")) == 1


@story
async def test_a_connection_is_kept_for_the_mail_that_waits() -> None:
    peer = Peer()
    house = House({"there.test": peer})
    house.dispatcher.room = type(house.dispatcher.room)(100, 1, 100)
    for _ in range(20):
        await house.submit("bob@there.test")

    await house.step()

    assert len(peer.letters) == 20
    assert len(peer.opened) == 1


@story
async def test_a_result_that_cannot_be_written_is_in_force_all_the_same() -> None:
    house = House({"there.test": Peer()})
    await house.submit("bob@there.test")
    house.spool.trouble = SpoolError("the disk is on fire")

    await house.step()
    await house.advance(DAY)

    assert len(house.letters_to("there.test")) == 1


class LateToSay(MemorySpool):
    """A spool whose first result is written as soon as all others, and said to be much later."""

    def __init__(self) -> None:
        super().__init__()
        self.may_say = asyncio.Event()
        self._is_first = True

    async def record(self, id: MessageId, changes: Mapping[int, Recipient]) -> Envelope:
        is_first, self._is_first = self._is_first, False
        envelope = await super().record(id, changes)
        if is_first:
            await self.may_say.wait()
        return envelope


def test_a_result_that_is_heard_of_when_all_is_settled_is_no_bug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @story
    async def both_are_delivered() -> None:
        spool = LateToSay()
        house = House({"one.test": Peer(), "other.test": Peer()}, spool=spool)
        await house.submit("bob@one.test", "bob@other.test")
        await house.let_run()
        assert house.queued() == []

        spool.may_say.set()
        await house.step()

        assert house.kinds().count(Kind.DELIVERED) == 2

    both_are_delivered()

    assert caplog.messages == []


@story
async def test_a_failure_that_was_not_reported_before_a_crash_is_reported_after_it() -> None:
    house = House({"there.test": Peer({"bob": [UNKNOWN]})})
    await house.submit("bob@there.test")
    await house.step()
    # The crash: the result is on disk, the report and the end are not.
    before = House({"there.test": Peer({"bob": [UNKNOWN]})})
    await before.submit("bob@there.test")
    envelope = before.queued()[0]
    failed = replace(envelope.recipients[0], state=State.FAILED, attempts=1)
    await before.spool.record(envelope.id, {0: failed})

    after = House({"there.test": Peer()}, spool=before.spool)
    await after.dispatcher.resume(after.queued())
    await after.step()

    assert [report.id for report in after.letters_to("sender.test")] == ["m1r0"]
    assert after.letters_to("there.test") == []
    assert after.queued() == []


@story
async def test_a_report_about_more_recipients_than_the_one_before_a_crash_is_no_repeat() -> None:
    before = House()
    await before.submit("bob@there.test", "dan@else.test")
    envelope = before.queued()[0]
    failed = replace(envelope.recipients[0], state=State.FAILED)
    await before.spool.record(envelope.id, {0: failed})
    before.now += TOGETHER
    await before.settlement.resume(envelope)  # stores a report about bob; then the crash
    await before.spool.record(envelope.id, {0: failed})

    after = House({"else.test": Peer({"dan": [UNKNOWN]})}, spool=before.spool)
    await after.dispatcher.resume(after.queued())
    await after.step()

    reports = b"".join(report.content for report in after.letters_to("sender.test"))
    assert b"Final-Recipient: rfc822; bob@there.test" in reports
    assert b"Final-Recipient: rfc822; dan@else.test" in reports


@story
async def test_a_report_stored_before_a_crash_is_not_stored_again() -> None:
    before = House({"there.test": Peer({"bob": [UNKNOWN]})})
    await before.submit("bob@there.test")
    envelope = before.queued()[0]
    failed = replace(envelope.recipients[0], state=State.FAILED, attempts=1)
    await before.spool.record(envelope.id, {0: failed})
    await before.settlement.resume(envelope)
    assert "m1r0" in [queued.id for queued in before.queued()]

    after = House(spool=before.spool)
    await after.dispatcher.resume(after.queued())
    await after.step()

    assert len(after.letters_to("sender.test")) == 1


@story
async def test_a_smarthost_whose_name_is_wrong_keeps_the_mail_waiting() -> None:
    house = House(mode=Mode.SMARTHOST)
    relay = house.world.peers.pop("mx.relay.test")
    await house.submit("bob@there.test")

    await house.step()
    house.world.peers["mx.relay.test"] = relay
    await house.advance(MINUTE)

    assert house.kinds("bob@there.test") == [Kind.DEFERRED, Kind.DELIVERED]


@story
async def test_a_report_that_cannot_be_stored_is_tried_again() -> None:
    house = House({"there.test": Peer({"bob": [UNKNOWN]})})
    await house.submit("bob@there.test")
    house.spool.trouble = SpoolError("the disk is full")

    await house.step()
    house.spool.trouble = None
    await house.advance(MINUTE)

    assert [report.id for report in house.letters_to("sender.test")] == ["m1r0"]
    assert house.queued() == []


@story
async def test_mail_that_waits_takes_the_road_of_the_new_terms() -> None:
    house = House({"there.test": Peer()}, mode=Mode.SMARTHOST)
    house.peers["relay.test"].is_reachable = False
    await house.submit("bob@there.test")
    await house.step()
    await house.submit("carol@there.test")  # due, and not yet under way

    house.settlement.terms = replace(house.settlement.terms, mode=Mode.DIRECT)
    house.has_smarthost = False
    house.dispatcher.reroute()
    await house.step()
    assert [str(letter.recipients[0]) for letter in house.letters_to("there.test")] == [
        "carol@there.test"
    ]
    await house.advance(HOUR)

    assert house.queued() == []
    assert len(house.letters_to("there.test")) == 2
