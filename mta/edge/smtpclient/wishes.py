"""What a sender wants to be told, in the words of DSN (RFC 3461 §5.2.1).

A peer that offers DSN hears what our client said, and nothing that it did not say: ORCPT could be
added for a recipient that came without, but the next server knows no less than we of its address.
"""

from mta.model.envelope import Letter
from mta.model.outcome import Outcome, Stage, Verdict
from mta.model.request import MessageRequest, Notice, RecipientRequest

from mta.rules.dsn.status import escaped

_NOT_UNDERSTOOD = (501, 504, 555)  # RFC 5321 §4.1.1.11, §4.2.2


def has_wishes(letter: Letter) -> bool:
    """Whether there is anything to say."""
    request = letter.request
    return bool(letter.requests or request.returned is not None or request.envelope_id)


def behind_mail(request: MessageRequest) -> str:
    """The parameters of MAIL, a space before each."""
    returned = f" RET={request.returned}" if request.returned is not None else ""
    envelope_id = f" ENVID={request.envelope_id}" if request.envelope_id else ""
    return returned + envelope_id


def behind_rcpt(request: RecipientRequest, *, is_smtputf8: bool) -> str:
    """The parameters of RCPT, a space before each.

    ORCPT goes as it came; where the transaction is not one of SMTPUTF8, what is not ASCII in it
    is escaped, which means the same (RFC 6533 §3).
    """
    words = ""
    if request.notices is not None:
        words = " NOTIFY=" + ",".join(one for one in Notice if one in request.notices)
    if request.original:
        original = request.original if is_smtputf8 else escaped(request.original)
        words += f" ORCPT={original}"
    return words


def is_not_understood(outcome: Outcome) -> bool:
    """Whether the parameters may be what the peer refused, although it offers DSN."""
    return (
        outcome.verdict is Verdict.FAILED
        and outcome.is_from_peer
        and outcome.stage in (Stage.SENDER, Stage.RECIPIENT)
        and outcome.reply.code in _NOT_UNDERSTOOD
    )
