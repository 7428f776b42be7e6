"""What keeps mail that is due from being carried, and what becomes of it instead."""

from math import inf

from mta.model.envelope import Consignment, Destination, Reason

from mta.rules.delivery.closure import Closure

from mta.flow.delivery.detours import Detours
from mta.flow.delivery.settlement import Settlement
from mta.flow.delivery.sites import Sites
from mta.flow.delivery.throttles import Throttles, outcome_of
from mta.flow.ports import Clock

WHILE_PROBED = 60.0  # seconds until mail that has no second road is looked at again


class Hindrances:
    """Shut roads, sites that want nothing, and deadlines that are over."""

    def __init__(
        self,
        *,
        settlement: Settlement,
        detours: Detours,
        throttles: Throttles,
        sites: Sites,
        clock: Clock,
    ) -> None:
        self._settlement = settlement
        self._detours = detours
        self._throttles = throttles
        self._sites = sites
        self._clock = clock

    def hinders(self, consignment: Consignment) -> bool:
        """Whether it is not to be carried: its road is shut, or its time is over."""
        has_deadline = consignment.envelope.request.deadline is not None
        is_any_shut = self._detours.is_any_shut or self._throttles.is_any_shut
        return (has_deadline or is_any_shut) and self._is_hindered(consignment)

    async def settle(self, consignment: Consignment) -> list[Consignment]:
        """Put off, divert or give up what is not to be carried; the same where it may be now."""
        has_deadline = consignment.envelope.request.deadline is not None
        if has_deadline and self._settlement.waits_until(consignment) <= self._clock():
            return await self._settlement.hurry(consignment)
        closure = self._barrier_to(consignment)
        if closure is None:
            return await self._put_off(consignment)
        # Its time may be over, while a probe is under way.
        until = max(closure.until, self._clock() + WHILE_PROBED)
        divert = self._settlement.divert
        return await divert(consignment, closure.reason, closure.outcome, until)

    def leaves_before(self, destination: Destination) -> float:
        """What was released before that moment is too old to wait for a slow site."""
        if not self._settlement.may_divert(destination, Reason.RATE):
            return -inf
        terms = self._settlement.terms.of(destination.route)
        return self._clock() - terms.fallback.rate_after

    def _is_hindered(self, consignment: Consignment) -> bool:
        if self._barrier_to(consignment) is not None:
            return True
        if self._throttles.barrier_to(consignment.destination) is not None:
            return True
        if consignment.envelope.request.deadline is None:
            return False
        return self._settlement.waits_until(consignment) <= self._clock()

    def _barrier_to(self, consignment: Consignment) -> Closure | None:
        closure = self._detours.barrier_to(consignment)
        if closure is None:
            return None
        is_left = self._settlement.may_divert(consignment.destination, closure.reason)
        return closure if is_left else None

    async def _put_off(self, consignment: Consignment) -> list[Consignment]:
        throttle = self._throttles.barrier_to(consignment.destination)
        if throttle is None:
            return await self._divert_from_slow(consignment)
        reason = None if throttle.trouble else Reason.WARM_UP
        outcome, until = outcome_of(throttle), throttle.until
        return await self._settlement.suspend(consignment, outcome, until, reason)

    async def _divert_from_slow(self, consignment: Consignment) -> list[Consignment]:
        """On by the second road, where it was too long; or back, where it can be carried by now."""
        site = self._sites.known(consignment.destination) or ""
        slow, destination = self._throttles.slow(site), consignment.destination
        older_than = self.leaves_before(destination)
        if slow is None or consignment.envelope.released_at >= older_than:
            return [consignment]
        outcome, now = outcome_of(slow), self._clock()
        return await self._settlement.divert(consignment, Reason.RATE, outcome, now)
