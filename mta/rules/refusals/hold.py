"""Mail that was refused for our sake is kept for a while: an operator may mend what is wrong."""

from mta.model.outcome import Outcome, Verdict
from mta.model.ruling import Response

from mta.rules.delivery.retry import JITTER
from mta.rules.refusals.classify import classify

LEAST = 60.0  # seconds between attempts, whatever a rule says


def held_until(
    outcome: Outcome, *, released_at: float, hold_for: float, now: float, chance: float
) -> float | None:
    """When to try again what was refused for our sake; None where it is not held, or no longer.

    `hold_for` seconds after its release the last attempt is made, and what it brings counts.
    `chance` (0 to 1) spreads what is held together.
    """
    if outcome.verdict is Verdict.DELIVERED or now >= released_at + hold_for:
        return None
    ruling = classify(outcome)
    if ruling is None or ruling.response is not Response.HOLD:
        return None
    delay = max(ruling.seconds, LEAST) * (1 - JITTER + 2 * JITTER * chance)
    return min(now + delay, released_at + hold_for)
