"""When a whole direct road is shut, for how long mail goes by the second one, and what opens it."""

from collections.abc import Sequence
from dataclasses import dataclass

from mta.model.envelope import Reason
from mta.model.outcome import Outcome, Stage, Verdict
from mta.model.value import value

from mta.rules.delivery.fallback import FallbackPlan, reason_to_fall_back
from mta.rules.refusals.classify import classify


@dataclass(frozen=True, slots=True)
class Closure:
    """A direct road that is shut to all mail: `times` in a row, the last time by `outcome`.

    `since` and `until` are in Unix seconds. It is only suspected while `times` is 0.
    """

    reason: Reason
    outcome: Outcome
    since: float
    until: float
    times: int = 1

    @property
    def is_in_force(self) -> bool:
        """Whether the road counts as shut, until a probe has got through."""
        return self.times > 0


@value
class ShutRoad:
    """A road that is shut, by the name of a domain or of the site that serves it."""

    name: str
    site: str
    closure: Closure


@value
class Word:
    """What an attempt says of the road as a whole: why it is shut, or None for that it is open."""

    reason: Reason | None
    outcome: Outcome


def word_on_the_road(outcomes: Sequence[Outcome]) -> Word | None:
    """What the outcomes of one attempt say of the road; None where they say nothing.

    A delivery says most; then that our address is refused; then whatever else a peer said to a
    recipient. Who broke off in the middle of a message said nothing.
    """
    if not outcomes:
        return None
    best = min(outcomes, key=_weight)
    reason = _reason_for_all(best)
    return None if reason is None and not _is_a_word(best) else Word(reason, best)


def _weight(outcome: Outcome) -> int:
    if outcome.verdict is Verdict.DELIVERED:
        return 0
    if _reason_for_all(outcome) is not None:
        return 1
    return 2 if _is_a_word(outcome) else 3


def _reason_for_all(outcome: Outcome) -> Reason | None:
    """Why not only this mail is to go by the second road."""
    reason = reason_to_fall_back(outcome)
    if reason is not Reason.BLOCKED:
        return reason
    ruling = classify(outcome)
    return reason if ruling is not None and ruling.is_of_our_address else None


def _is_a_word(outcome: Outcome) -> bool:
    """Whether a peer talked of a message or a recipient: it takes us for a client like others."""
    is_refused = reason_to_fall_back(outcome) is not None
    return outcome.is_from_peer and outcome.stage in _WITH_A_MESSAGE and not is_refused


_WITH_A_MESSAGE = (Stage.SENDER, Stage.RECIPIENT, Stage.CONTENT)


def after_word(
    closure: Closure | None, word: Word, plan: FallbackPlan, now: float
) -> Closure | None:
    """The closure after a word on the road; None: it is open.

    Attempts that were under way together count once. A content that is refused for our address's
    sake may be refused for its own: only a second one in a row shuts the road.
    """
    if word.reason is None:
        return None
    if closure is None:
        is_doubtful = word.reason is Reason.BLOCKED and word.outcome.stage is Stage.CONTENT
        times = 0 if is_doubtful else 1
        until = now + (plan.shut_for if times else 0.0)
        return Closure(word.reason, word.outcome, now, until, times)
    if now < closure.until:
        return closure
    shut_for = min(plan.shut_for * 2.0 ** min(closure.times, 20), plan.shut_at_most)
    return Closure(word.reason, word.outcome, closure.since, now + shut_for, closure.times + 1)
