"""A circuit breaker for each destination: leave hosts in peace that cannot be reached.

While a destination is shut its mail is put off without a try; then one message probes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mta.model.outcome import Outcome, Scope, Stage, Verdict

from mta.rules.delivery.retry import JITTER, RetryPlan

LONGEST_SHUT = 900.0  # seconds: how late we may notice that a destination is back


@dataclass(frozen=True, slots=True)
class Breaker:
    """What is known of a destination's reach. `shut_until` is in Unix seconds."""

    failures: int = 0
    shut_until: float = 0.0
    outcome: Outcome | None = None  # the failure that shut it

    def suspends(self, now: float) -> Outcome | None:
        """The outcome for mail that comes due while the destination is shut."""
        return self.outcome if now < self.shut_until else None

    @property
    def is_probing(self) -> bool:
        """Whether only one message may be under way, to find out."""
        return self.failures > 0


WHOLE = Breaker()


def after_outcomes(
    breaker: Breaker, outcomes: Sequence[Outcome], plan: RetryPlan, now: float
) -> Breaker:
    """The breaker after an attempt: shut for longer each time, whole again at the first word.

    A refusal is a word: who answers can be reached. So is whatever happens once a message has
    been offered, for it may be for that message's sake. Attempts that were under way together
    count once. What we put off ourselves says nothing of anybody.
    """
    if all(_is_our_own(outcome) for outcome in outcomes):
        return breaker
    if not all(_is_out_of_reach(outcome) for outcome in outcomes):
        return WHOLE
    if now < breaker.shut_until:
        return breaker
    failures = breaker.failures + 1
    # Shorter than any jittered retry, so that the message that failed can be the probe.
    shut_for = min(plan.delay_after(failures) * (1 - 2 * JITTER), LONGEST_SHUT)
    return Breaker(failures, now + shut_for, outcomes[-1])


def _is_our_own(outcome: Outcome) -> bool:
    return outcome.host is None and outcome.scope is Scope.MESSAGE


def _is_out_of_reach(outcome: Outcome) -> bool:
    return (
        outcome.scope is Scope.DESTINATION
        and outcome.verdict is Verdict.DEFERRED
        and outcome.stage not in _WITH_A_MESSAGE
    )


_WITH_A_MESSAGE = (Stage.SENDER, Stage.RECIPIENT, Stage.CONTENT)
