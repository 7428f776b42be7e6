"""The settings of the second road: which reasons open it, and after how long."""

from mta.model.envelope import Reason

from mta.rules.delivery.fallback import FALLBACK, FallbackPlan

from mta.config.kinds import Duration, DurationOrZero, Section


class Fallback(Section):
    """When mail leaves the direct road, in mode fallback."""

    reasons: tuple[Reason, ...] = tuple(Reason)
    rate_after: DurationOrZero = FALLBACK.rate_after
    age_after: DurationOrZero = FALLBACK.age_after
    before_deadline: DurationOrZero = FALLBACK.before_deadline
    shut_for: Duration = FALLBACK.shut_for
    shut_at_most: Duration = FALLBACK.shut_at_most

    @property
    def plan(self) -> FallbackPlan:
        """The same, as the rules want it."""
        return FallbackPlan(
            frozenset(self.reasons),
            rate_after=self.rate_after,
            age_after=self.age_after,
            before_deadline=self.before_deadline,
            shut_for=self.shut_for,
            shut_at_most=self.shut_at_most,
        )
