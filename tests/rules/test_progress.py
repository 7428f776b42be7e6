"""How a recipient moves on after an attempt, and what is carried together."""

from dataclasses import dataclass, replace

import pytest

from mta.model.address import Address
from mta.model.domain import Host
from mta.model.envelope import Destination, Envelope, MessageId, Reason, Recipient, Road, State
from mta.model.outcome import Outcome, Reply, Scope, Stage, broken, judge
from mta.model.request import Deadline, Late, Notice, RecipientRequest

from mta.rules.delivery.fallback import FallbackPlan
from mta.rules.delivery.progress import (
    Mode,
    Step,
    after_attempt,
    consignments,
    road_of,
    suspended,
)
from mta.rules.delivery.retry import AMBIGUOUS_DELAY, RetryPlan

PLAN = RetryPlan((60.0, 300.0), give_up_after=10_000.0)
FALLBACK = FallbackPlan(frozenset(Reason) - {Reason.RATE}, age_after=1_030.0, before_deadline=100.0)
ACCEPTED_AT = 1_000.0
NOW = 2_000.0


@dataclass(frozen=True)
class Terms:
    mode: Mode


MX = Host("mx.there.test", "192.0.2.1", 25)
ENDS_AT = ACCEPTED_AT + PLAN.give_up_after
BOB = Recipient(Address("bob", "there.test"), next_at=ACCEPTED_AT)

TAKEN = judge(Reply(250, "Ok"), Stage.CONTENT, MX)
NO_USER = judge(Reply(550, "no such user", 1, 1), Stage.RECIPIENT, MX)
LATER = judge(Reply(451, "later"), Stage.RECIPIENT, MX)
BLOCKED = judge(Reply(554, "blocked by spamhaus", 7, 1), Stage.RECIPIENT, MX)
DOWN = replace(broken(Stage.CONNECT, MX, "no answer"), scope=Scope.DESTINATION)
FULL = judge(Reply(452, "mailbox full", 2, 2), Stage.RECIPIENT, MX)
SILENCE = broken(Stage.CONTENT, MX, "silence", may_have_arrived=True)


def after(
    outcome: Outcome,
    recipient: Recipient = BOB,
    *,
    road: Road = Road.DIRECT,
    mode: Mode = Mode.DIRECT,
    now: float = NOW,
    by: Deadline | None = None,
) -> Step:
    return after_attempt(
        recipient,
        outcome,
        road=road,
        mode=mode,
        plan=PLAN,
        ends_at=ENDS_AT,
        now=now,
        chance=0.5,
        released_at=ACCEPTED_AT,
        by=by,
        fallback=FALLBACK,
    )


def put_off(
    recipient: Recipient = BOB,
    *,
    outcome: Outcome = DOWN,
    road: Road = Road.DIRECT,
    now: float = NOW,
    mode: Mode = Mode.DIRECT,
    reason: Reason | None = None,
) -> Step:
    return suspended(
        recipient,
        outcome,
        until=NOW + 50,
        road=road,
        ends_at=ENDS_AT,
        now=now,
        mode=mode,
        released_at=ACCEPTED_AT,
        fallback=FALLBACK,
        reason=reason,
    )


# After an attempt


@pytest.mark.parametrize(
    ("outcome", "state", "next_at"),
    [
        (TAKEN, State.DELIVERED, ACCEPTED_AT),
        (NO_USER, State.FAILED, ACCEPTED_AT),
        (LATER, State.WAITING, NOW + 60),
        (DOWN, State.WAITING, NOW + 60),
        (BLOCKED, State.FAILED, ACCEPTED_AT),
        (SILENCE, State.WAITING, NOW + AMBIGUOUS_DELAY),
    ],
)
def test_an_outcome_says_where_a_recipient_goes(
    outcome: Outcome, state: State, next_at: float
) -> None:
    step = after(outcome)

    moved = step.recipient
    assert (moved.state, step.rerouted) == (state, None)
    assert moved.next_at == pytest.approx(next_at)
    assert (moved.attempts, moved.last, moved.address) == (1, outcome, BOB.address)


def test_what_was_asked_for_a_recipient_stays_with_it() -> None:
    asked = RecipientRequest(frozenset({Notice.NEVER}), "rfc822;bob")

    step = after(LATER, replace(BOB, request=asked))

    assert step.recipient.request == asked


@pytest.mark.parametrize(
    ("notices", "peer_reports", "state"),
    [
        (None, False, State.DELIVERED),
        (frozenset({Notice.FAILURE}), False, State.DELIVERED),
        (frozenset({Notice.SUCCESS}), True, State.DELIVERED),
        (frozenset({Notice.SUCCESS}), False, State.RELAYED),  # our sender hears of it from us
    ],
)
def test_a_delivery_is_still_to_be_told_where_the_peer_does_not_tell_it(
    notices: frozenset[Notice] | None, peer_reports: bool, state: State
) -> None:
    recipient = replace(BOB, request=RecipientRequest(notices))

    step = after(replace(TAKEN, peer_reports=peer_reports), recipient)

    assert step.recipient.state is state


def test_an_attempt_has_its_moment_and_a_suspension_is_none() -> None:
    tried = after(LATER).recipient

    assert tried.tried_at == NOW
    assert put_off(tried, now=NOW + 5).recipient.tried_at == NOW


def test_that_a_delay_was_told_is_never_forgotten() -> None:
    told = replace(BOB, is_delay_told=True)

    assert after(LATER, told).recipient.is_delay_told
    assert put_off(told).recipient.is_delay_told


def test_each_attempt_counts_and_the_wait_grows_with_them() -> None:
    first = after(LATER).recipient

    second = after(LATER, first).recipient

    assert second.attempts == 2
    assert second.next_at == pytest.approx(NOW + 300)


def test_time_runs_out_with_the_last_outcome_at_hand() -> None:
    last = after(LATER, now=ENDS_AT - 10).recipient
    given_up = after(LATER, last, now=last.next_at).recipient

    assert (last.state, last.next_at) == (State.WAITING, ENDS_AT)
    assert (given_up.state, given_up.last) == (State.FAILED, LATER)


def test_the_last_attempt_may_succeed() -> None:
    assert after(TAKEN, now=ENDS_AT).recipient.state is State.DELIVERED


def test_that_it_may_have_arrived_is_never_forgotten() -> None:
    recipient = after(SILENCE).recipient
    for outcome in (LATER, DOWN, BLOCKED, NO_USER):
        recipient = after(outcome, recipient, mode=Mode.FALLBACK).recipient

    assert recipient.may_have_arrived
    assert recipient.road is Road.DIRECT


# The second road


@pytest.mark.parametrize(("outcome", "reason"), [(DOWN, Reason.CONNECT), (BLOCKED, Reason.BLOCKED)])
def test_a_shut_road_is_left_for_the_other_at_once(outcome: Outcome, reason: Reason) -> None:
    step = after(outcome, mode=Mode.FALLBACK)

    moved = step.recipient
    assert step.rerouted is reason
    assert (moved.state, moved.road, moved.next_at) == (State.WAITING, Road.SMARTHOST, NOW)
    assert (moved.attempts, moved.last, moved.rerouted) == (1, outcome, reason)


@pytest.mark.parametrize(
    ("by", "reason", "at"),
    [
        (None, Reason.AGE, ACCEPTED_AT + 1_030),
        (Deadline(NOW + 120, Late.DROP), Reason.DEADLINE, NOW + 20),
        (Deadline(NOW + 120, Late.NOTIFY), Reason.DEADLINE, NOW + 20),
        (Deadline(NOW + 99, Late.DROP), Reason.DEADLINE, NOW),
        (Deadline(NOW + 500, Late.DROP), Reason.AGE, ACCEPTED_AT + 1_030),
    ],
)
def test_a_wait_that_would_be_too_long_ends_on_the_other_road(
    by: Deadline | None, reason: Reason, at: float
) -> None:
    step = after(LATER, replace(BOB, attempts=1), mode=Mode.FALLBACK, by=by)

    moved = step.recipient
    assert (moved.state, moved.road, moved.next_at) == (State.WAITING, Road.SMARTHOST, at)
    assert (step.rerouted, moved.rerouted) == (reason, reason)


def test_what_may_have_arrived_waits_no_longer_than_its_deadline() -> None:
    step = after(SILENCE, by=Deadline(NOW + 90, Late.FAIL))

    assert (step.recipient.state, step.recipient.next_at) == (State.WAITING, NOW + 90)


def test_a_wait_that_ends_before_does_not() -> None:
    step = after(LATER, mode=Mode.FALLBACK, now=ACCEPTED_AT + 100)

    assert step.rerouted is None
    assert step.recipient.next_at == ACCEPTED_AT + 160


@pytest.mark.parametrize("mode", [Mode.DIRECT, Mode.SMARTHOST])
@pytest.mark.parametrize("outcome", [DOWN, BLOCKED])
def test_where_there_is_one_road_there_is_no_other(mode: Mode, outcome: Outcome) -> None:
    road = road_of(BOB, mode)

    step = after(outcome, mode=mode, road=road)

    assert step.rerouted is None
    assert step.recipient.road is road


@pytest.mark.parametrize("outcome", [TAKEN, NO_USER, LATER, SILENCE])
def test_an_open_road_is_not_left(outcome: Outcome) -> None:
    step = after(outcome, mode=Mode.FALLBACK, now=ACCEPTED_AT)

    assert step.rerouted is None
    assert step.recipient.road is Road.DIRECT


@pytest.mark.parametrize(
    ("outcome", "state"), [(DOWN, State.WAITING), (BLOCKED, State.FAILED), (NO_USER, State.FAILED)]
)
def test_from_the_second_road_no_way_leads_back(outcome: Outcome, state: State) -> None:
    moved = replace(BOB, road=Road.SMARTHOST)

    step = after(outcome, moved, road=Road.SMARTHOST, mode=Mode.FALLBACK)

    assert step.rerouted is None
    assert (step.recipient.road, step.recipient.state) == (Road.SMARTHOST, state)


@pytest.mark.parametrize("outcome", [DOWN, BLOCKED])
def test_what_may_have_arrived_stays_on_its_road(outcome: Outcome) -> None:
    doubtful = after(SILENCE, mode=Mode.FALLBACK).recipient

    step = after(outcome, doubtful, mode=Mode.FALLBACK)

    assert step.rerouted is None
    assert step.recipient.road is Road.DIRECT


# While a destination is shut


def test_a_recipient_is_put_off_without_a_try() -> None:
    tried = replace(BOB, attempts=3, last=LATER, may_have_arrived=True)

    step = put_off(tried)

    assert step == Step(replace(tried, last=DOWN, next_at=NOW + 50))


def test_whoever_is_put_off_stands_on_the_road_that_is_shut() -> None:
    step = put_off(BOB, road=Road.SMARTHOST, mode=Mode.SMARTHOST)

    assert step.recipient.road is Road.SMARTHOST


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (ENDS_AT - 1, State.WAITING),
        (ENDS_AT, State.FAILED),
    ],
)
def test_a_recipient_is_not_put_off_for_ever(now: float, state: State) -> None:
    assert put_off(now=now).recipient.state is state


@pytest.mark.parametrize(
    ("recipient", "mode", "rerouted"),
    [
        (BOB, Mode.FALLBACK, Reason.CONNECT),
        (BOB, Mode.DIRECT, None),
        (replace(BOB, may_have_arrived=True), Mode.FALLBACK, None),
        (replace(BOB, road=Road.SMARTHOST), Mode.FALLBACK, None),
    ],
)
def test_whoever_may_take_the_other_road_need_not_wait(
    recipient: Recipient, mode: Mode, rerouted: Reason | None
) -> None:
    step = put_off(recipient, road=recipient.road, mode=mode)

    assert step.rerouted is rerouted
    assert step.recipient.next_at == (NOW if rerouted else NOW + 50)
    assert step.recipient.attempts == 0


@pytest.mark.parametrize(
    ("recipient", "mode", "reason", "rerouted"),
    [
        (BOB, Mode.FALLBACK, Reason.WARM_UP, Reason.WARM_UP),
        (BOB, Mode.FALLBACK, Reason.RATE, None),  # not wanted
        (BOB, Mode.DIRECT, Reason.WARM_UP, None),
        (replace(BOB, may_have_arrived=True), Mode.FALLBACK, Reason.WARM_UP, None),
    ],
)
def test_whoever_is_diverted_goes_at_once_if_there_is_another_road(
    recipient: Recipient, mode: Mode, reason: Reason, rerouted: Reason | None
) -> None:
    step = put_off(recipient, outcome=FULL, mode=mode, reason=reason)

    assert (step.rerouted, step.recipient.rerouted) == (rerouted, rerouted)
    assert step.recipient.next_at == (NOW if rerouted else NOW + 50)


# What is carried together

ROUTES = {"office": Terms(Mode.SMARTHOST), "direct": Terms(Mode.DIRECT)}


@pytest.mark.parametrize(
    ("stored", "mode", "road"),
    [
        (Road.DIRECT, Mode.DIRECT, Road.DIRECT),
        (Road.DIRECT, Mode.SMARTHOST, Road.SMARTHOST),
        (Road.DIRECT, Mode.FALLBACK, Road.DIRECT),
        # The settings have changed since it was stored
        (Road.SMARTHOST, Mode.DIRECT, Road.DIRECT),
        (Road.SMARTHOST, Mode.SMARTHOST, Road.SMARTHOST),
        (Road.SMARTHOST, Mode.FALLBACK, Road.SMARTHOST),
    ],
)
def test_the_settings_say_which_road_is_next(stored: Road, mode: Mode, road: Road) -> None:
    assert road_of(replace(BOB, road=stored), mode) is road


def recipient(text: str, **changes: object) -> Recipient:
    local, _, domain = text.partition("@")
    return replace(Recipient(Address(local, domain), next_at=NOW), **changes)  # type: ignore[arg-type] # a test names them as it likes


def carried(*recipients: Recipient, mode: Mode = Mode.DIRECT) -> list[tuple[str, tuple[int, ...]]]:
    envelope = Envelope(MessageId("m1"), None, recipients, ACCEPTED_AT, 1_000)
    found = list(consignments(envelope, mode, routes=ROUTES))
    assert all(consignment.envelope is envelope for consignment in found)
    return [(str(consignment.destination), consignment.places) for consignment in found]


def test_recipients_of_one_domain_are_carried_together() -> None:
    found = carried(recipient("a@x.test"), recipient("b@y.test"), recipient("c@x.test"))

    assert found == [("x.test", (0, 2)), ("y.test", (1,))]


def test_all_are_carried_to_the_smarthost_together() -> None:
    found = carried(recipient("a@x.test"), recipient("b@y.test"), mode=Mode.SMARTHOST)

    assert found == [("smarthost", (0, 1))]


def test_where_there_are_two_roads_each_takes_its_own() -> None:
    moved = recipient("c@x.test", road=Road.SMARTHOST)

    found = carried(recipient("a@x.test"), recipient("b@y.test"), moved, mode=Mode.FALLBACK)

    assert found == [("x.test", (0,)), ("y.test", (1,)), ("smarthost", (2,))]


def test_recipients_that_are_due_apart_are_carried_apart() -> None:
    later = recipient("b@x.test", next_at=NOW + 1)

    assert carried(recipient("a@x.test"), later) == [("x.test", (0,)), ("x.test", (1,))]


def test_recipients_of_different_routes_are_carried_apart() -> None:
    found = carried(
        recipient("a@x.test", route="office"),
        recipient("b@x.test"),
        recipient("c@y.test", route="office"),
        recipient("d@x.test", route="direct"),
    )

    assert found == [("office", (0, 2)), ("x.test", (1,)), ("x.test", (3,))]


def test_who_was_to_take_a_route_that_is_gone_begins_anew_on_the_default_one() -> None:
    moved = recipient("a@x.test", route="gone", road=Road.SMARTHOST)

    assert carried(moved, recipient("b@x.test"), mode=Mode.FALLBACK) == [("x.test", (0, 1))]


def test_who_is_bound_to_a_relay_is_carried_by_himself() -> None:
    bound = recipient("a@x.test", bound_to="smtp.there.test:25")

    found = carried(bound, recipient("b@y.test"), mode=Mode.SMARTHOST)

    assert found == [("smarthost", (0,)), ("smarthost", (1,))]


def test_what_a_relay_may_have_binds_the_recipient_to_it_for_good() -> None:
    relay = Road.SMARTHOST
    bound = after(SILENCE, road=relay, mode=Mode.SMARTHOST).recipient
    elsewhere = replace(SILENCE, host=Host("else.test", "192.0.2.9", 25))

    assert bound.bound_to == "mx.there.test:25"
    assert after(DOWN, bound, road=relay).recipient.bound_to == "mx.there.test:25"
    assert after(elsewhere, bound, road=relay).recipient.bound_to == "mx.there.test:25"
    assert after(SILENCE).recipient.bound_to == ""  # a domain's exchangers are one


@pytest.mark.parametrize("state", [State.DELIVERED, State.FAILED, State.REPORTED])
def test_nobody_who_does_not_wait_is_carried(state: State) -> None:
    found = carried(recipient("a@x.test", state=state), recipient("b@x.test"))

    assert found == [("x.test", (1,))]


def test_a_consignment_says_when_it_is_due() -> None:
    envelope = Envelope(MessageId("m1"), None, (BOB,), ACCEPTED_AT, 1_000)

    (consignment,) = consignments(envelope, Mode.DIRECT)

    assert consignment.due_at == BOB.next_at
    assert consignment.destination == Destination(Road.DIRECT, "there.test")
