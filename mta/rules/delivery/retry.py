"""When to try again, and when to stop (RFC 5321 §4.5.4.1)."""

from dataclasses import dataclass

JITTER = 0.1  # part of a delay by which it varies, so that what failed together returns apart
AMBIGUOUS_DELAY = 600.0  # seconds that a peer may take for its last reply, RFC 5321 §4.5.3.2.6


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """`delays` between attempts, the last one again and again, until `give_up_after`; seconds.

    `ambiguous_delay` is the least after an attempt whose message may have arrived: for so long
    the peer may still be busy with it (RFC 1047).
    """

    delays: tuple[float, ...]
    give_up_after: float
    ambiguous_delay: float = AMBIGUOUS_DELAY

    def delay_after(self, attempts: int) -> float:
        """Seconds to wait after this many attempts, without jitter."""
        return self.delays[min(attempts, len(self.delays)) - 1]


def next_attempt(
    plan: RetryPlan,
    *,
    attempts: int,
    ends_at: float,
    now: float,
    chance: float,
    may_have_arrived: bool = False,
) -> float | None:
    """When to try again after `attempts` tries; None when the time has come to give up.

    The last attempt falls on `ends_at`, so that no message fails untried for hours;
    only where the message may have arrived is the peer left its time beyond that end.
    `chance` (0 to 1) places the delay within its jitter.
    """
    if now >= ends_at:
        return None
    delay = plan.delay_after(attempts) * (1 - JITTER + 2 * JITTER * chance)
    at = min(now + delay, ends_at)
    return max(at, now + plan.ambiguous_delay) if may_have_arrived else at
