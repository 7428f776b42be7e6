"""What an attempt brought: record it, say it, report what failed, forget what is settled."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from mta.model.envelope import (
    Consignment,
    Destination,
    Envelope,
    MessageId,
    Reason,
    Recipient,
    Road,
    State,
)
from mta.model.event import Event, Kind
from mta.model.outcome import Outcome
from mta.model.trouble import SpoolError

from mta.rules.delivery.deadline import (
    end_of,
    is_over,
    late_after,
    out_of_time,
    waits_until,
)
from mta.rules.delivery.fallback import FALLBACK, FallbackPlan
from mta.rules.delivery.progress import Mode, Step, after_attempt, consignments, expired, suspended
from mta.rules.delivery.retry import JITTER, RetryPlan
from mta.rules.dsn import TOGETHER, Action, others_are_due, owed
from mta.rules.refusals.classify import classify

from mta.flow.delivery.agenda import Agenda
from mta.flow.delivery.alarms import Alarms
from mta.flow.delivery.detours import Detours
from mta.flow.delivery.reporting import Reporter
from mta.flow.ports import Chance, Clock, Spool
from mta.flow.submission.register import Register

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """How long mail is tried, and on which roads.

    Mail that takes longer than `delay_report_after` seconds is late, and its sender is told;
    0: nothing ever is. What is refused for our sake is kept for `hold_for` seconds. `routes` are
    the terms of mail for which another than the default route was chosen, by its name.
    """

    mode: Mode
    plan: RetryPlan
    delay_report_after: float = 0.0
    fallback: FallbackPlan = FALLBACK
    hold_for: float = 0.0
    routes: "Mapping[str, Terms]" = field(default_factory=dict)

    def of(self, route: str) -> "Terms":
        """Those of a route; of one that is gone, those of the default."""
        return self.routes.get(route, self) if route else self


class Settlement:
    """Brings every attempt to its end.

    The order of effects: a recipient's result is on its way to the disk before its report is
    stored, and a report is stored before its original is forgotten.
    """

    def __init__(
        self,
        *,
        terms: Terms,
        spool: Spool,
        reporter: Reporter,
        register: Register,
        detours: Detours,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self.terms = terms
        self._spool = spool
        self._reporter = reporter
        self._events = self._register = register
        self._detours = detours
        self._clock = clock
        self._chance = chance
        self._alarms = Alarms(clock=clock)
        self._finishing: set[MessageId] = set()
        self._postponed: dict[MessageId, float] = {}  # until when each report waits for others
        self._delays = Agenda(self._is_here)  # when what waits is late
        self._nothing_late_before = 0.0

    async def settle(
        self, consignment: Consignment, outcomes: Sequence[Outcome]
    ) -> list[Consignment]:
        """Take the outcomes of one attempt, one for each place; gives what is to be tried again."""
        chance = self._chance()  # one for all: what was deferred together is tried together
        now = self._clock()
        terms = self.terms.of(consignment.destination.route)
        if terms.mode is Mode.FALLBACK and consignment.destination.road is Road.DIRECT:
            self._detours.learn(consignment, outcomes, terms.fallback)
        envelope = self._current(consignment)
        steps = {
            place: after_attempt(
                _on_route(envelope.recipients[place], consignment.destination),
                outcome,
                road=consignment.destination.road,
                mode=terms.mode,
                plan=terms.plan,
                ends_at=end_of(terms.plan, envelope),
                released_at=envelope.released_at,
                by=envelope.request.deadline,
                fallback=terms.fallback,
                hold_for=terms.hold_for,
                now=now,
                chance=chance,
            )
            for place, outcome in zip(consignment.places, outcomes, strict=True)
        }
        return await self._take(envelope, steps)

    def may_divert(self, destination: Destination, reason: Reason) -> bool:
        """Whether mail for there may take a second road, and for this reason."""
        terms = self.terms.of(destination.route)
        is_first = destination.road is Road.DIRECT and terms.mode is Mode.FALLBACK
        return is_first and reason in terms.fallback.reasons

    async def divert(
        self, consignment: Consignment, reason: Reason, outcome: Outcome, until: float
    ) -> list[Consignment]:
        """Send what came due on the direct road by the second one, untried, where it may go.

        `outcome` is what shut the road. What may have arrived already stays, and is put off until
        then.
        """
        return await self.suspend(consignment, outcome, until, reason)

    async def suspend(
        self,
        consignment: Consignment,
        outcome: Outcome,
        until: float,
        reason: Reason | None = None,
    ) -> list[Consignment]:
        """Put off, untried, what came due while its destination is shut; or divert it."""
        spread = until + (until - self._clock()) * JITTER * self._chance()
        envelope = self._current(consignment)
        terms = self.terms.of(consignment.destination.route)
        steps = {
            place: suspended(
                _on_route(envelope.recipients[place], consignment.destination),
                outcome,
                until=spread,
                road=consignment.destination.road,
                mode=terms.mode,
                ends_at=end_of(terms.plan, envelope),
                released_at=envelope.released_at,
                by=envelope.request.deadline,
                fallback=terms.fallback,
                reason=reason,
                now=self._clock(),
            )
            for place in consignment.places
        }
        return await self._take(envelope, steps)

    def waits_until(self, consignment: Consignment) -> float:
        """Until when what is due may wait for its turn, or be under way; in Unix seconds."""
        destination, margin = consignment.destination, None
        if self.may_divert(destination, Reason.DEADLINE):
            margin = self.terms.of(destination.route).fallback.before_deadline
        return waits_until(consignment.envelope, consignment.places, margin)

    async def hurry(self, consignment: Consignment) -> list[Consignment]:
        """Take what has waited for its turn until then: on by the second road, or given up."""
        if is_over(consignment.envelope.request.deadline, self._clock()):
            return await self.expire(consignment)
        waited = out_of_time("the direct road had no room for it in time")
        return await self.divert(consignment, Reason.DEADLINE, waited, self._clock())

    async def expire(self, consignment: Consignment) -> list[Consignment]:
        """Give up, untried, what came due when its deadline had passed."""
        envelope = self._current(consignment)
        steps = {place: expired(envelope.recipients[place]) for place in consignment.places}
        return await self._take(envelope, steps)

    async def resume(self, envelope: Envelope) -> list[Consignment]:
        """Finish what a crash may have left between a result and its report; gives what waits."""
        # What came due while we were down is tried before anybody hears that it is late.
        self._nothing_late_before = self._clock() + TOGETHER
        await self._finish(envelope.id)
        waiting = list(self.consignments(envelope))
        if waiting:
            self._expect_delay(envelope)
        return waiting

    def consignments(
        self, envelope: Envelope, places: Collection[int] | None = None
    ) -> Iterator[Consignment]:
        """What waits of a message, by the terms of today; of `places` alone."""
        terms = self.terms
        return consignments(envelope, terms.mode, places, routes=terms.routes)

    def renew(self, terms: Terms) -> None:
        """Put new terms in force."""
        is_same = terms.delay_report_after == self.terms.delay_report_after
        self.terms = terms
        if not is_same:
            self._delays.clear()
            for envelope in self._spool.envelopes():
                self._expect_delay(envelope)

    async def report_overdue(self) -> None:
        """Send the reports that have waited long enough: for other recipients, or for the disk.

        And those about mail that is late by now.
        """
        now = self._clock()
        for id in [id for id, until in self._postponed.items() if until <= now]:
            await self._finish(id)
        for id in self._delays.due(now):
            if self._is_here(id):
                await self._finish(id)
            if self._is_here(id) and Action.DELAYED in self._owed(self._spool.envelope(id)):
                self._delays.enter(now + TOGETHER, id)  # it is being tried

    async def _take(self, envelope: Envelope, steps: Mapping[int, Step]) -> list[Consignment]:
        id = envelope.id
        changes = {place: step.recipient for place, step in steps.items()}
        try:
            await self._spool.record(id, changes)
        except SpoolError as error:
            # In force all the same while we live; after a crash the attempt is repeated.
            log.error("%s: the result of an attempt is not on disk: %s", id, error)
        for step in steps.values():
            self._say_step(envelope, step)
        await self._finish(id)
        if all(recipient.state is not State.WAITING for recipient in changes.values()):
            return []
        if any(envelope.recipients[place].last is None for place in changes):
            self._expect_delay(envelope)
        again = envelope.with_recipients(changes)
        return list(self.consignments(again, changes))

    async def _finish(self, id: MessageId) -> None:
        """Tell what is owed and forget what is settled; one task at a time for each message."""
        if id in self._finishing or not self._is_here(id):
            return  # whoever is at it looks again before it leaves; or did so, and forgot it
        self._finishing.add(id)
        try:
            while due := self._to_tell(envelope := self._spool.envelope(id)):
                for action, places in due.items():
                    until = self._end_of(envelope, places)
                    await self._reporter.tell(id, action, places, until)
        except SpoolError as error:
            log.error("%s: its report is not on disk, and is tried again: %s", id, error)
            self._postponed[id] = self._clock() + TOGETHER
        else:
            await self._leave(envelope)
        finally:
            self._finishing.remove(id)

    async def _leave(self, envelope: Envelope) -> None:
        """Forget a message, or note that a report is still owed."""
        is_settled = envelope.is_settled
        if not is_settled and owed(envelope, is_late=False):
            self._postponed.setdefault(envelope.id, self._clock() + TOGETHER)
            return
        self._postponed.pop(envelope.id, None)
        if is_settled:
            if self._register.follows(envelope.id):
                await self._register.written(envelope.id)
            try:
                await self._spool.remove(envelope.id)
            except SpoolError as error:
                log.error("%s: its end is not on disk: %s", envelope.id, error)
            # Not before: a crash would then repeat what was called settled.
            self._events.emit(self._event(Kind.SETTLED, envelope))

    def _to_tell(self, envelope: Envelope) -> dict[Action, list[int]]:
        """What its sender is to hear now: nothing while others are about to be tried."""
        if envelope.is_settled:  # as nearly every one is at once
            return {}
        found = self._owed(envelope)
        return {} if found and others_are_due(envelope, self._clock()) else found

    def _owed(self, envelope: Envelope) -> dict[Action, list[int]]:
        return owed(envelope, is_late=self._clock() >= self._late_at(envelope))

    def _end_of(self, envelope: Envelope, places: Collection[int]) -> float:
        """Until when the last of these recipients is tried, in Unix seconds."""
        routes = {envelope.recipients[place].route for place in places}
        return max(end_of(self.terms.of(route).plan, envelope) for route in routes)

    def _expect_delay(self, envelope: Envelope) -> None:
        """Look again at a message when it is late, if its sender is to hear of that."""
        late_at = self._late_at(envelope)
        if late_at < inf and Action.DELAYED in owed(envelope, is_late=True):
            self._delays.enter(late_at, envelope.id)

    def _late_at(self, envelope: Envelope) -> float:
        late_at = late_after(self.terms.delay_report_after, envelope)
        return max(late_at, self._nothing_late_before)

    def _is_here(self, id: MessageId) -> bool:
        try:
            self._spool.envelope(id)
        except KeyError:
            return False
        return True

    def _current(self, consignment: Consignment) -> Envelope:
        """The envelope as it is now: its delay may have been told during the attempt."""
        return self._spool.envelope(consignment.envelope.id)

    def _say_step(self, envelope: Envelope, step: Step) -> None:
        recipient, outcome = step.recipient, step.recipient.last
        assert outcome is not None, "a step follows an outcome"
        ruling = classify(outcome)
        if step.is_held and ruling is not None:
            self._alarms.sound(recipient.address, outcome, ruling)
        now = self._clock()
        self._events.emit(
            Event(
                kind=_kind_of(step),
                at=now,
                id=envelope.id,
                recipient=recipient.address,
                road=recipient.road,
                route=recipient.route or None,
                stage=outcome.stage,
                host=outcome.host,
                tls=outcome.tls,
                reply=outcome.reply,
                cause=ruling.cause if ruling else None,
                rule=ruling.rule if ruling else None,
                attempts=recipient.attempts,
                next_at=recipient.next_at if recipient.state is State.WAITING else None,
                seconds=now - envelope.accepted_at,
                text=step.rerouted,
            )
        )

    def _event(self, kind: Kind, envelope: Envelope) -> Event:
        now = self._clock()
        return Event(kind=kind, at=now, id=envelope.id, seconds=now - envelope.accepted_at)


def _on_route(recipient: Recipient, destination: Destination) -> Recipient:
    """A recipient on the route that was taken, for the one that was chosen may be gone."""
    if recipient.route == destination.route:
        return recipient
    return replace(recipient, route=destination.route)


def _kind_of(step: Step) -> Kind:
    if step.rerouted:
        return Kind.REROUTED
    last = step.recipient.last
    if last is not None and last.is_discarded:
        return Kind.DISCARDED
    return Kind.HELD if step.is_held else _KINDS[step.recipient.state]


_KINDS = {
    State.DELIVERED: Kind.DELIVERED,
    State.RELAYED: Kind.DELIVERED,
    State.WAITING: Kind.DEFERRED,
    State.FAILED: Kind.FAILED,
}
