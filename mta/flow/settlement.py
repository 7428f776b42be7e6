"""What an attempt brought: record it, say it, report what failed, forget what is settled."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mta.model.envelope import Consignment, Envelope, MessageId, State
from mta.model.event import Event, Kind
from mta.model.outcome import Outcome
from mta.model.trouble import SpoolError

from mta.rules.dsn import report_for, report_id
from mta.rules.headers import header_of
from mta.rules.progress import Mode, Step, after_attempt, consignments, suspended
from mta.rules.retry import JITTER, RetryPlan

from mta.flow.intake import Intake
from mta.flow.ports import Chance, Clock, EventLog, Spool

TOGETHER = 60.0  # seconds that a report waits for recipients about to be tried

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """How long mail is tried, and on which roads."""

    mode: Mode
    plan: RetryPlan


class Settlement:
    """Brings every attempt to its end.

    The order of effects: a recipient's result is on its way to the disk before its report is
    stored, and a report is stored before its original is forgotten. A crash between repeats
    the report, under an id that the spool recognises.
    """

    def __init__(
        self,
        *,
        terms: Terms,
        spool: Spool,
        intake: Intake,
        events: EventLog,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self.terms = terms
        self._spool = spool
        self._intake = intake
        self._events = events
        self._clock = clock
        self._chance = chance
        self._finishing: set[MessageId] = set()
        self._postponed: dict[MessageId, float] = {}  # until when each report waits for others

    async def settle(
        self, consignment: Consignment, outcomes: Sequence[Outcome]
    ) -> list[Consignment]:
        """Take the outcomes of one attempt, one for each place; gives what is to be tried again."""
        chance = self._chance()  # one for all: what was deferred together is tried together
        now = self._clock()
        steps = {
            place: after_attempt(
                consignment.envelope.recipients[place],
                outcome,
                road=consignment.destination.road,
                mode=self.terms.mode,
                plan=self.terms.plan,
                accepted_at=consignment.envelope.accepted_at,
                now=now,
                chance=chance,
            )
            for place, outcome in zip(consignment.places, outcomes, strict=True)
        }
        return await self._take(consignment, steps)

    async def suspend(
        self, consignment: Consignment, outcome: Outcome, until: float
    ) -> list[Consignment]:
        """Put off, untried, what came due while its destination is shut."""
        spread = until + (until - self._clock()) * JITTER * self._chance()
        steps = {
            place: suspended(
                consignment.envelope.recipients[place],
                outcome,
                until=spread,
                road=consignment.destination.road,
                mode=self.terms.mode,
                plan=self.terms.plan,
                accepted_at=consignment.envelope.accepted_at,
                now=self._clock(),
            )
            for place in consignment.places
        }
        return await self._take(consignment, steps)

    async def resume(self, envelope: Envelope) -> list[Consignment]:
        """Finish what a crash may have left between a result and its report; gives what waits."""
        await self._finish(envelope.id)
        return list(consignments(envelope, self.terms.mode))

    async def report_overdue(self) -> None:
        """Send the reports that have waited long enough: for other recipients, or for the disk."""
        now = self._clock()
        for id in [id for id, until in self._postponed.items() if until <= now]:
            await self._finish(id)

    async def _take(self, consignment: Consignment, steps: Mapping[int, Step]) -> list[Consignment]:
        id = consignment.envelope.id
        changes = {place: step.recipient for place, step in steps.items()}
        try:
            await self._spool.record(id, changes)
        except SpoolError as error:
            # In force all the same while we live; after a crash the attempt is repeated.
            log.error("%s: the result of an attempt is not on disk: %s", id, error)
        for step in steps.values():
            self._say_step(consignment.envelope, step)
        await self._finish(id)
        if all(recipient.state is not State.WAITING for recipient in changes.values()):
            return []
        again = consignment.envelope.with_recipients(changes)
        return list(consignments(again, self.terms.mode, changes))

    async def _finish(self, id: MessageId) -> None:
        """Report what failed and forget what is settled; one task at a time for each message."""
        if id in self._finishing:
            return  # whoever is at it looks again before it leaves
        self._finishing.add(id)
        try:
            while failed := _to_report(self._spool.envelope(id), self._clock()):
                await self._report(self._spool.envelope(id), failed)
        except SpoolError as error:
            log.error("%s: its report is not on disk, and is tried again: %s", id, error)
            self._postponed[id] = self._clock() + TOGETHER
        else:
            await self._leave(self._spool.envelope(id))
        finally:
            self._finishing.remove(id)

    async def _leave(self, envelope: Envelope) -> None:
        """Forget a message, or note that a report is still owed."""
        if any(recipient.state is State.FAILED for recipient in envelope.recipients):
            self._postponed.setdefault(envelope.id, self._clock() + TOGETHER)
            return
        self._postponed.pop(envelope.id, None)
        if envelope.is_settled:
            try:
                await self._spool.remove(envelope.id)
            except SpoolError as error:
                log.error("%s: its end is not on disk: %s", envelope.id, error)
            # Not before: a crash would then repeat what was called settled.
            self._events.emit(self._event(Kind.SETTLED, envelope))

    async def _report(self, envelope: Envelope, failed: Sequence[int]) -> None:
        """Tell the sender, once; nobody is told of what has the null sender (RFC 5321 §4.5.5)."""
        if envelope.sender is None:
            dropped = self._event(Kind.DROPPED, envelope)
            self._events.emit(replace(dropped, text="a report that fails is not reported"))
        else:
            # The id is derived, so that a repeat after a crash is recognised as one.
            id = report_id(envelope.id, failed)
            header = await self._header(envelope.id)
            hostname = self._intake.house.hostname
            report = report_for(envelope, failed, header, id, hostname, self._clock())
            await self._intake.enqueue(id, report)
            reported = self._event(Kind.REPORTED, envelope)
            self._events.emit(replace(reported, report=id, sender=str(envelope.sender)))
        told = {
            place: replace(envelope.recipients[place], state=State.REPORTED) for place in failed
        }
        await self._spool.record(envelope.id, told)

    async def _header(self, id: MessageId) -> bytes:
        try:
            return header_of(await self._spool.content(id))
        except SpoolError as error:
            log.error("%s: its report goes without its header: %s", id, error)
            return b""

    def _say_step(self, envelope: Envelope, step: Step) -> None:
        recipient, outcome = step.recipient, step.recipient.last
        assert outcome is not None, "a step follows an outcome"
        now = self._clock()
        self._events.emit(
            Event(
                kind=Kind.REROUTED if step.rerouted else _KINDS[recipient.state],
                at=now,
                id=envelope.id,
                recipient=recipient.address,
                road=recipient.road,
                stage=outcome.stage,
                host=outcome.host,
                tls=outcome.tls,
                reply=outcome.reply,
                attempts=recipient.attempts,
                next_at=recipient.next_at if recipient.state is State.WAITING else None,
                seconds=now - envelope.accepted_at,
                text=step.rerouted,
            )
        )

    def _event(self, kind: Kind, envelope: Envelope) -> Event:
        now = self._clock()
        return Event(kind=kind, at=now, id=envelope.id, seconds=now - envelope.accepted_at)


_KINDS = {
    State.DELIVERED: Kind.DELIVERED,
    State.WAITING: Kind.DEFERRED,
    State.FAILED: Kind.FAILED,
}


def _to_report(envelope: Envelope, now: float) -> list[int]:
    """The failed recipients to report now: none while others are about to be tried.

    So recipients that fail together are reported together, whatever their domains.
    """
    failed = [
        place
        for place, recipient in enumerate(envelope.recipients)
        if recipient.state is State.FAILED
    ]
    if failed and any(
        recipient.state is State.WAITING and now - TOGETHER < recipient.next_at <= now
        for recipient in envelope.recipients
    ):
        return []
    return failed
