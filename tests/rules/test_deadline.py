"""By when a message is to be delivered, and what becomes of it after that."""

from math import inf

import pytest

from mta.model.address import Address
from mta.model.domain import Host
from mta.model.envelope import Envelope, MessageId, Recipient
from mta.model.outcome import Outcome, Reply, Stage, Verdict, judge
from mta.model.request import Deadline, Late, MessageRequest, Notice, RecipientRequest

from mta.rules.delivery.deadline import (
    LAST_CALL,
    behind_mail,
    end_of,
    final,
    is_missed,
    is_over,
    is_relay_told,
    late_after,
    leaves_at,
    missed,
    objection,
)
from mta.rules.delivery.retry import RetryPlan

PLAN = RetryPlan((60.0,), give_up_after=1_000.0)
LATER = judge(Reply(451, "later", 7, 1), Stage.RECIPIENT, Host("mx.test", "192.0.2.1", 25))
R, N, D, F = (Deadline(500.0, if_late) for if_late in Late)
NEVER = RecipientRequest(frozenset({Notice.NEVER}))
ANYTHING = RecipientRequest()


def envelope(by: Deadline | None, *, hold_until: float = 0.0) -> Envelope:
    request = MessageRequest(hold_until=hold_until, deadline=by)
    recipients = (Recipient(Address("bob", "there.test")),)
    return Envelope(MessageId("m"), None, recipients, 100.0, 1, request=request)


@pytest.mark.parametrize(
    ("by", "ends_at"),
    [
        (None, 1_100.0),
        (N, 1_100.0),
        (R, 500.0 - LAST_CALL),
        (D, 500.0 - LAST_CALL),
        (Deadline(5_000.0), 1_100.0),
        (Deadline(120.0, Late.DROP), 115.0),  # of twenty seconds
    ],
)
def test_the_last_attempt_is_in_time_for_the_deadline(by: Deadline | None, ends_at: float) -> None:
    assert end_of(PLAN, envelope(by)) == ends_at


def test_what_is_held_is_tried_from_its_release_on() -> None:
    assert end_of(PLAN, envelope(None, hold_until=300.0)) == 1_300.0


@pytest.mark.parametrize(("by", "is_late"), [(None, False), (N, False), (R, True), (D, True)])
def test_at_its_deadline_a_message_is_over_unless_it_is_to_be_delivered_all_the_same(
    by: Deadline | None, is_late: bool
) -> None:
    assert is_over(by, 500.0) is is_late
    assert not is_over(by, 499.0)


@pytest.mark.parametrize(
    ("by", "late_at"), [(None, 170.0), (R, 170.0), (N, 500.0), (Deadline(-5.0, Late.NOTIFY), -5.0)]
)
def test_the_sender_says_when_a_message_is_late(by: Deadline | None, late_at: float) -> None:
    assert late_after(70.0, envelope(by)) == late_at


def test_without_either_nothing_is_ever_late() -> None:
    assert late_after(0.0, envelope(R)) == inf


def test_a_missed_deadline_says_what_kept_the_message() -> None:
    outcome = final(LATER, R, 490.0)

    assert outcome is not None
    assert (outcome.verdict, outcome.reply.status) == (Verdict.FAILED, "5.4.7")
    assert outcome.reply.text.endswith("at last: 451 4.7.1 later")
    assert is_missed(outcome)
    assert is_missed(missed(None))


@pytest.mark.parametrize("by", [None, N, R])
def test_what_is_given_up_before_its_deadline_failed_for_another_reason(
    by: Deadline | None,
) -> None:
    assert final(LATER, by, 400.0) is LATER
    assert not is_missed(LATER)


def test_a_peer_that_says_the_same_means_another_deadline() -> None:
    said = judge(Reply(550, "too late", 4, 7), Stage.CONTENT, Host("mx.test", "192.0.2.1", 25))

    assert not is_missed(said)


@pytest.mark.parametrize(
    ("by", "is_offered", "least", "status"),
    [
        (R, True, 0, None),
        (R, True, 100, None),
        (R, True, 101, "5.4.7"),
        (R, False, 0, "5.3.3"),
        (N, False, 0, None),
        (N, True, 1_000, None),
        (D, False, 0, None),
        (F, False, 0, None),
    ],
)
def test_a_message_goes_to_hosts_that_keep_its_deadline(
    by: Deadline, is_offered: bool, least: int, status: str | None
) -> None:
    reply = objection(by, 400.0, is_offered=is_offered, least=least)

    assert (reply.status if reply else None) == status


@pytest.mark.parametrize(("by", "is_over"), [(R, True), (D, True), (F, True), (N, False)])
@pytest.mark.parametrize("is_offered", [True, False])
def test_nobody_gets_a_message_whose_time_is_over(
    by: Deadline, is_over: bool, is_offered: bool
) -> None:
    reply = objection(by, by.at, is_offered=is_offered, least=0)

    assert (reply is not None and reply.status == "5.4.7") is is_over


@pytest.mark.parametrize(
    ("margin", "at"), [(0.0, 500.0), (100.0, 400.0), (200.0, 300.0), (900.0, 300.0)]
)
def test_a_message_leaves_in_time_and_not_before_half_of_it(margin: float, at: float) -> None:
    assert leaves_at(D, 100.0, margin) == at


@pytest.mark.parametrize(
    ("by", "words"),
    [
        (R, " BY=99;R"),
        (N, " BY=99;N"),
        (D, ""),
        (F, ""),
        (Deadline(1e12, Late.NOTIFY, is_traced=True), " BY=999999999;NT"),
        (Deadline(-1e12, Late.NOTIFY), " BY=-999999999;N"),
    ],
)
def test_what_is_left_goes_on_with_the_message(by: Deadline, words: str) -> None:
    assert behind_mail(by, 400.5) == words


@pytest.mark.parametrize(
    ("by", "request_", "keeps", "is_told"),
    [
        (None, ANYTHING, False, False),
        (R, ANYTHING, True, False),
        (N, ANYTHING, True, False),
        (N, ANYTHING, False, True),  # nobody will tell of a delay from here on
        (N, NEVER, False, False),
        (D, ANYTHING, False, False),
        (Deadline(500.0, is_traced=True), ANYTHING, True, True),
        (Deadline(500.0, is_traced=True), NEVER, True, False),
    ],
)
def test_a_sender_hears_of_the_steps_of_its_message(
    by: Deadline | None, request_: RecipientRequest, keeps: bool, is_told: bool
) -> None:
    delivered = Outcome(
        Verdict.DELIVERED,
        Reply(250, "OK"),
        Stage.CONTENT,
        LATER.scope,
        peer_keeps_deadline=keeps,
    )

    assert is_relay_told(by, request_, delivered) is is_told
