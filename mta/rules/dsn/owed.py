"""What senders are owed: who has yet to hear of which recipient, and what waits for company."""

from enum import StrEnum

from mta.model.envelope import Envelope, State
from mta.model.request import Notice

TOGETHER = 60.0  # seconds that a report waits for recipients about to be tried


class Action(StrEnum):
    """What a report says of its recipients (RFC 3464 §2.3.3); the first are told first."""

    FAILED = "failed"
    RELAYED = "relayed"
    DELAYED = "delayed"


_TO_TELL = ((State.FAILED, Action.FAILED), (State.RELAYED, Action.RELAYED))


def owed(envelope: Envelope, *, is_late: bool) -> dict[Action, list[int]]:
    """The places of the recipients whose sender has yet to be told, by what there is to tell.

    `is_late`: the time for a report about a delay has come.
    """
    unsettled = [
        (place, recipient)
        for place, recipient in enumerate(envelope.recipients)
        if not recipient.is_settled
    ]
    if not unsettled:
        return {}
    found = {
        action: [place for place, recipient in unsettled if recipient.state is state]
        for state, action in _TO_TELL
    }
    if is_late:
        found[Action.DELAYED] = _delayed(envelope)
    return {action: places for action, places in found.items() if places}


def _delayed(envelope: Envelope) -> list[int]:
    """Those that wait, unless the sender knows already: once for a message, not for each try."""
    recipients = envelope.recipients
    if envelope.sender is None or any(recipient.is_delay_told for recipient in recipients):
        return []
    return [
        place
        for place, recipient in enumerate(recipients)
        if recipient.state is State.WAITING and recipient.request.wants(Notice.DELAY)
    ]


def others_are_due(envelope: Envelope, now: float) -> bool:
    """Whether some recipients are about to be tried: a report waits for what becomes of them.

    So recipients that fail together are reported together, whatever their domains.
    """
    return any(
        recipient.state is State.WAITING and now - TOGETHER < recipient.next_at <= now
        for recipient in envelope.recipients
    )
