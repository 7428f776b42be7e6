"""What senders are told: a report is stored, then it is recorded that they know."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from mta.model.envelope import Envelope, MessageId, Recipient, State
from mta.model.event import Event, Kind
from mta.model.request import Late, Notice
from mta.model.trouble import SpoolError

from mta.rules.delivery.deadline import is_missed, is_relay_told
from mta.rules.dsn import Action, Occasion, report_for
from mta.rules.message.verp import sender_to

from mta.flow.ports import Clock, EventLog, Spool
from mta.flow.submission.intake import Intake

log = logging.getLogger(__name__)

_NOBODY = "a report that fails is not reported"
_LATE = "its time is over, and its sender wants no report of that"
_UNWANTED = "its sender wants no report of a failure"
_WISHES = {
    Action.FAILED: Notice.FAILURE,
    Action.RELAYED: Notice.SUCCESS,
    Action.DELAYED: Notice.DELAY,
}


class Reporter:
    """Tells senders, each thing once, what they want to know.

    The order of effects: a report is stored before it is recorded that its recipients are told.
    A crash between repeats the report, under an id that the spool recognises.
    """

    def __init__(self, *, spool: Spool, intake: Intake, events: EventLog, clock: Clock) -> None:
        self._spool = spool
        self._intake = intake
        self._events = events
        self._clock = clock

    async def tell(
        self, id: MessageId, action: Action, places: Sequence[int], until: float
    ) -> None:
        """Tell the sender of these recipients, and record it; `until` is when we give up.

        Nobody is told of what has the null sender (RFC 5321 §4.5.5). Raises SpoolError.
        """
        envelope = self._spool.envelope(id)
        wanted = [place for place in places if _is_wanted(envelope, action, place)]
        for group in _told_together(envelope, wanted):
            told = replace(envelope, sender=sender_to(envelope, group[0]))
            await self._report(told, action, group, until)
        if action is Action.FAILED:
            for place in sorted(set(places).difference(wanted)):
                self._say_dropped(envelope, envelope.recipients[place])
        # As they are now: recipients that wait may have been tried in the meantime.
        recipients = self._spool.envelope(id).recipients
        await self._spool.record(id, {place: _told(recipients[place], action) for place in places})

    async def _report(
        self, envelope: Envelope, action: Action, places: Sequence[int], until: float
    ) -> None:
        hostname = self._intake.house.hostname
        occasion = Occasion(envelope, action, places, hostname, self._clock(), until)
        report = report_for(occasion, await self._content(envelope.id))
        await self._intake.enqueue(occasion.id, report)
        self._events.emit(
            replace(
                self._event(Kind.REPORTED, envelope),
                report=occasion.id,
                sender=str(envelope.sender),
                text=action,
            )
        )

    def _say_dropped(self, envelope: Envelope, recipient: Recipient) -> None:
        dropped = self._event(Kind.DROPPED, envelope)
        why = _NOBODY if envelope.sender is None else _UNWANTED
        if _is_dropped_late(envelope, recipient):
            why = _LATE
        self._events.emit(replace(dropped, recipient=recipient.address, text=why))

    async def _content(self, id: MessageId) -> bytes:
        try:
            return await self._spool.content(id)
        except SpoolError as error:
            log.error("%s: its report goes without its header: %s", id, error)
            return b""

    def _event(self, kind: Kind, envelope: Envelope) -> Event:
        now = self._clock()
        return Event(kind=kind, at=now, id=envelope.id, seconds=now - envelope.accepted_at)


def _told_together(envelope: Envelope, places: Sequence[int]) -> Sequence[Sequence[int]]:
    """All of them; or each by itself, where each sees a sender of its own."""
    if envelope.request.is_verp:
        return [[place] for place in places]
    return [places] if places else []


def _is_wanted(envelope: Envelope, action: Action, place: int) -> bool:
    recipient = envelope.recipients[place]
    if envelope.sender is None or _is_dropped_late(envelope, recipient):
        return False
    by, last = envelope.request.deadline, recipient.last
    if action is Action.RELAYED and last and is_relay_told(by, recipient.request, last):
        return True
    return recipient.request.wants(_WISHES[action])


def _is_dropped_late(envelope: Envelope, recipient: Recipient) -> bool:
    by = envelope.request.deadline
    return by is not None and by.if_late is Late.DROP and is_missed(recipient.last)


def _told(recipient: Recipient, action: Action) -> Recipient:
    """The same, with its sender told."""
    if action is Action.FAILED:
        return replace(recipient, state=State.REPORTED)
    if action is Action.RELAYED:
        return replace(recipient, state=State.DELIVERED)
    return replace(recipient, is_delay_told=True)
