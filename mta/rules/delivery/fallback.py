"""When mail leaves the direct road for the second one, and under what name.

Never after an ambiguous final dot, and never for what is true on every road.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from mta.model.envelope import Reason
from mta.model.outcome import Outcome, Scope, Stage, Verdict
from mta.model.request import Deadline, Late
from mta.model.value import value

from mta.rules.delivery.deadline import is_unkept, leaves_at


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
    if _is_true_on_every_road(outcome):
        return
    if by is not None:
        yield Detour(leaves_at(by, released_at, plan.before_deadline), Reason.DEADLINE)
    if _is_too_fast(outcome):
        yield Detour(released_at + plan.rate_after, Reason.RATE)
    yield Detour(released_at + plan.age_after, Reason.AGE)


def _is_true_on_every_road(outcome: Outcome) -> bool:
    """Of a deferral: a full mailbox, or trouble of our own, is no reason to go elsewhere."""
    if not outcome.is_from_peer:
        return outcome.scope in (Scope.MESSAGE, Scope.RECIPIENT)
    return outcome.reply.subject in (1, 2)  # address, mailbox: RFC 3463 §3.2, §3.3


def _is_too_fast(outcome: Outcome) -> bool:
    return outcome.is_from_peer and _TOO_FAST.search(outcome.reply.text) is not None


_TOO_FAST = re.compile(
    r"\brate\b|too (?:many|much|fast)|throttl|slow down|temporarily deferred|TSS?0\d", re.IGNORECASE
)

# Words with which receivers refuse an address of ours rather than a recipient of theirs.
_BLOCKED = re.compile(
    r"block ?list|black ?list|deny ?list|\bblocked\b|\bbanned\b|\bdns(?:b|w)?l\b|\brbl\b|spamhaus"
    r"|barracuda|reputation|\bS31[45]0\b|listed (?:at|by|in|on)|dynamic (?:ip|address)|residential",
    re.IGNORECASE,
)
# The same words said of a recipient, as in "mailbox is blocked" and "user not listed in", or of
# what is in the message: true on every road.
_NOT_OURS = re.compile(
    r"\b(?:mailbox|user|account|recipient)(?: [^\s:;]+){0,4}?"
    r" (?:blocked|banned|black ?listed|listed)\b"
    r"|\b(?:content|attachment|virus|malware)\b",
    re.IGNORECASE,
)
_NO_SUCH_REVERSE_NAME = ("5.7.25", "4.7.25")  # RFC 7372 §3.3


def reason_to_fall_back(outcome: Outcome) -> Reason | None:
    """Why the second road is open at once to a recipient with this outcome; None where it is not.

    Never for what is true on every road: a domain or a recipient that does not exist.
    """
    if outcome.verdict is Verdict.DELIVERED or outcome.may_have_arrived:
        return None
    if outcome.is_from_peer and outcome.stage is not Stage.TLS:
        return Reason.BLOCKED if _blames_our_address(outcome) else None
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


def _blames_our_address(outcome: Outcome) -> bool:
    reply = outcome.reply
    if outcome.stage in (Stage.GREETING, Stage.HELLO) and outcome.verdict is Verdict.FAILED:
        return True  # refused before it knew anything of us but our address
    if reply.status in _NO_SUCH_REVERSE_NAME:
        return True
    # Without 7 (security and policy) as its subject the words speak of something else;
    # servers without enhanced codes say 0.
    if reply.subject not in (0, 7) or _NOT_OURS.search(reply.text):
        return False
    return _BLOCKED.search(reply.text) is not None
