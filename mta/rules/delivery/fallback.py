"""When mail leaves the direct road for the second one, and under what name.

Never after an ambiguous final dot, and never for what is true on every road.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from mta.model.envelope import Reason
from mta.model.outcome import Outcome, Scope, Stage, Verdict
from mta.model.request import Deadline, Late
from mta.model.ruling import Cause
from mta.model.value import value

from mta.rules.delivery.deadline import is_unkept, leaves_at
from mta.rules.refusals.classify import classify


@dataclass(frozen=True, slots=True)
class FallbackPlan:
    """Which reasons open the second road, and after how long; all in seconds.

    `rate_after` and `age_after` count from a message's release. `before_deadline` is how long
    before its deadline it goes at the latest. Where the road to a whole site is shut, mail goes by
    the second one at once, for `shut_for`; twice as long after each probe in vain, up to
    `shut_at_most`.
    """

    reasons: frozenset[Reason] = frozenset(Reason)
    rate_after: float = 1_800.0
    age_after: float = 7_200.0
    before_deadline: float = 600.0
    shut_for: float = 900.0
    shut_at_most: float = 14_400.0


FALLBACK = FallbackPlan()


@value
class Detour:
    """When a recipient's mail leaves the direct road, in Unix seconds, and why."""

    at: float
    reason: Reason


def detour_after(
    outcome: Outcome, plan: FallbackPlan, *, released_at: float, by: Deadline | None = None
) -> Detour | None:
    """When the second road is open to a recipient with this outcome; None where it never is.

    `released_at` and `by` are its message's release, in Unix seconds, and deadline.
    """
    if outcome.verdict is Verdict.DELIVERED or outcome.may_have_arrived:
        return None
    reason = reason_to_fall_back(outcome)
    if reason in plan.reasons:
        return Detour(-inf, reason)
    found = [one for one in _later(outcome, plan, released_at, by) if one.reason in plan.reasons]
    return min(found, key=lambda one: one.at, default=None)


def _later(
    outcome: Outcome, plan: FallbackPlan, released_at: float, by: Deadline | None
) -> Iterator[Detour]:
    if outcome.verdict is Verdict.FAILED:
        if by is not None and by.if_late is Late.RETURN and is_unkept(outcome):
            yield Detour(-inf, Reason.DEADLINE)  # the second road may keep it
        return
    ruling = classify(outcome)
    cause = ruling.cause if ruling is not None else Cause.POLICY
    if cause in _ON_EVERY_ROAD or _is_ours(outcome):
        return
    if by is not None:
        yield Detour(leaves_at(by, released_at, plan.before_deadline), Reason.DEADLINE)
    if cause is Cause.RATE:
        yield Detour(released_at + plan.rate_after, Reason.RATE)
    yield Detour(released_at + plan.age_after, Reason.AGE)


_ON_EVERY_ROAD = {Cause.RECIPIENT_GONE, Cause.MAILBOX_FULL, Cause.CONTENT, Cause.OURS}


def _is_ours(outcome: Outcome) -> bool:
    """Whether we are in trouble with the message itself, as with a spool that cannot be read."""
    return outcome.stage is Stage.CONTENT and outcome.host is None


def reason_to_fall_back(outcome: Outcome) -> Reason | None:
    """Why the second road is open at once to a recipient with this outcome; None where it is not.

    Never for what is true on every road: a domain or a recipient that does not exist.
    """
    if outcome.verdict is Verdict.DELIVERED or outcome.may_have_arrived:
        return None
    if outcome.is_from_peer and outcome.stage is not Stage.TLS:
        ruling = classify(outcome)
        return Reason.BLOCKED if ruling is not None and ruling.opens_second_road else None
    if outcome.scope is not Scope.DESTINATION or outcome.verdict is not Verdict.DEFERRED:
        return None  # another message, or another try, may well get through
    return _BY_STAGE.get(outcome.stage)


_BY_STAGE = {
    Stage.LOOKUP: Reason.DNS,
    Stage.CONNECT: Reason.CONNECT,
    Stage.GREETING: Reason.CONNECT,  # connected to something that never spoke
    Stage.HELLO: Reason.CONNECT,
    Stage.TLS: Reason.TLS,
}
