"""One connection's journey through a lane: what it may still carry, and each letter of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from mta.model.envelope import Consignment, Destination, Envelope, Letter
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict
from mta.model.request import NOTHING_FOR_RECIPIENT, RecipientRequest
from mta.model.trouble import SpoolError

from mta.rules.message.verp import sender_to

from mta.flow.delivery.courier import Courier
from mta.flow.delivery.lane import Lane


@dataclass(slots=True)
class Trip:
    """One connection and its lane: how many more messages it may carry, and has carried.

    `berth` is the destination that its slot was asked for. `yields`: it carries bulk to a site for
    which nothing urgent waited, and ends when something does.
    """

    lane: Lane
    courier: Courier
    site: str
    berth: Destination
    left: int
    yields: bool
    sent: int = 0  # since it was last told
    is_new: bool = True


def letter_for(consignment: Consignment, content: bytes) -> Letter:
    """The message as one transaction, for those of its recipients that wait here."""
    envelope = consignment.envelope
    return Letter(
        id=envelope.id,
        sender=sender_to(envelope, consignment.places[0]),
        recipients=tuple([envelope.recipients[i].address for i in consignment.places]),
        content=content,
        is_8bit=envelope.is_8bit,
        needs_smtputf8=envelope.needs_smtputf8,
        request=envelope.request,
        requests=_requests(envelope, consignment.places),
        bound_to=envelope.recipients[consignment.places[0]].bound_to,
    )


def unreadable(error: SpoolError) -> Outcome:
    """The outcome for a message that our own disk does not give back now."""
    reply = Reply(451, f"our spool cannot read the message: {error}", 3, 0)
    return Outcome(Verdict.DEFERRED, reply, Stage.CONTENT, Scope.MESSAGE)


def _requests(envelope: Envelope, places: Sequence[int]) -> tuple[RecipientRequest, ...]:
    """What was asked for the recipients at these places; none where that is nothing at all."""
    asked = tuple([envelope.recipients[place].request for place in places])
    return asked if any(one is not NOTHING_FOR_RECIPIENT for one in asked) else ()
