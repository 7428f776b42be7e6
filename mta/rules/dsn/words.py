"""The part of a report that people read: what happened, why, and what they can do about it."""

from collections.abc import Iterator, Sequence

from mta.model.envelope import Recipient
from mta.model.outcome import Outcome, Reply, Verdict
from mta.model.ruling import Cause
from mta.model.text import printable_ascii

from mta.rules.dsn.lines import date, lines, wrapped
from mta.rules.dsn.owed import Action
from mta.rules.refusals.classify import classify

# What a person can do about it, by enhanced status without its class (RFC 3463).
_ADVICE = {
    (1, 1): "There is no such mailbox. Check the address for typing errors.",
    (1, 2): "The domain does not exist or takes no mail. Check the part after the @.",
    (1, 6): "The mailbox has moved. Ask the recipient for the new address.",
    (1, 10): "The domain says that it takes no mail at all. Check the part after the @.",
    (2, 1): "The mailbox is disabled. Reach the recipient in another way.",
    (2, 2): "The mailbox is full. Try again later, or reach the recipient in another way.",
    (2, 3): "The message is too large for the mailbox. Send less, or a link.",
    (3, 4): "The message is too large for the receiving system. Send less, or a link.",
    (4, 6): "The recipient's mail system sends mail around in a circle. Tell its administrator.",
    (6, 3): "The receiving system cannot take letters beyond plain ASCII. Do without them.",
    (6, 7): "The receiving system does not know addresses with such letters.",
}
# The same by what a refusal was taken for: where its status says nothing, or something else.
_BEFORE_STATUS = {
    Cause.SENDER_BLOCKED: "The receiving system takes no mail from this mail server for now. "
    "Neither you nor the recipient can change that: tell the administrator of this server.",
    Cause.AUTHENTICATION: "The receiving system cannot verify that the message comes from its "
    "sender's domain. Tell the administrator of this server, or of that domain.",
    Cause.RATE: "The receiving system takes no more mail for now. Sending it later may help.",
}
_AFTER_STATUS = {
    Cause.RECIPIENT_GONE: _ADVICE[1, 1],
    Cause.MAILBOX_FULL: _ADVICE[2, 2],
    Cause.OURS: "The receiving system objects to this mail server, or to the sender's address. "
    "Tell the administrator of this server.",
}
_SEND_AGAIN = "Sending it once more may help."
_POLICY = "The receiving system refused it by its policy. Its words may say why:"
_UNKNOWN = "The receiving system refused it. Its words may say why:"
_DOUBT = "It may have arrived all the same: an attempt broke off before its last answer."

_BEGINNINGS = {
    Action.FAILED: "could not be delivered to:",
    Action.RELAYED: "was passed on for:",
    Action.DELAYED: "is not delivered yet to:",
}


def beginning(action: Action, accepted_at: float, hostname: str) -> str:
    """Who writes, and about which message."""
    return lines(
        f"This is the mail server {hostname}. Your message of",
        f"{date(accepted_at)} {_BEGINNINGS[action]}",
    )


def about_recipients(action: Action, recipients: Sequence[Recipient]) -> Iterator[str]:
    """What there is to say of each."""
    explain = _EXPLANATIONS[action]
    for recipient in recipients:
        yield lines("", f"  {printable_ascii(str(recipient.address))}")
        yield lines(*wrapped(explain(recipient), indent="    "))
        if recipient.last is not None:
            yield lines(*wrapped(_cause(recipient.last), indent="    "))


def ending(action: Action, until: float, enclosed: str, id: str) -> str:
    """What happens next; `until` is when we give up, `enclosed` what of the message is here."""
    attached = f"{enclosed} is attached; in this server's log it is {id}."
    return lines("", *wrapped(f"{_outlook(action, until)} {attached}"))


def _outlook(action: Action, until: float) -> str:
    if action is Action.FAILED:
        return "No further attempt is made for these recipients."
    if action is Action.DELAYED:
        return f"It will be tried until {date(until)}. You need not send it again."
    return "This server has no part in it any more."


def _failure(recipient: Recipient) -> str:
    """What happened and what to do, for somebody who knows nothing of mail servers."""
    outcome = recipient.last
    doubt = f" {_DOUBT}" if recipient.may_have_arrived else ""
    if outcome is None or outcome.verdict is Verdict.DEFERRED:
        return f"{_effort(recipient.attempts)}{doubt} {_meaning(outcome) or _SEND_AGAIN}"
    if outcome.is_from_peer:
        return _meaning(outcome) or (_POLICY if outcome.reply.subject == 7 else _UNKNOWN)
    return _advice(outcome)


def _effort(attempts: int) -> str:
    if attempts == 0:
        return "The time to deliver it ran out before it could be tried."
    return f"It was tried {_times(attempts)}, until the time to deliver it ran out."


def _delay(recipient: Recipient) -> str:
    if not recipient.attempts:
        return "It could not be tried yet."
    doubt = f" {_DOUBT}" if recipient.may_have_arrived else ""
    return f"It was tried {_times(recipient.attempts)}, last on {date(recipient.tried_at)}.{doubt}"


def _times(attempts: int) -> str:
    return "once" if attempts == 1 else f"{attempts} times"


def _relay(recipient: Recipient) -> str:
    outcome = recipient.last
    name = outcome.host.name if outcome and outcome.host else "The receiving system"
    if outcome and (outcome.peer_reports or outcome.peer_keeps_deadline):
        return f"{name} took it, and brings it further."
    return f"{name} took it, and tells nobody what becomes of it there."


_EXPLANATIONS = {Action.FAILED: _failure, Action.RELAYED: _relay, Action.DELAYED: _delay}


def _advice(outcome: Outcome | None) -> str:
    return _ADVICE.get((outcome.reply.subject, outcome.reply.detail), "") if outcome else ""


def _meaning(outcome: Outcome | None) -> str:
    """What a refusal means to the sender, and what helps; "" where nobody knows."""
    ruling = classify(outcome) if outcome is not None and outcome.is_from_peer else None
    if ruling is None:
        return _advice(outcome)
    before, after = _BEFORE_STATUS.get(ruling.cause), _AFTER_STATUS.get(ruling.cause, "")
    return before or _advice(outcome) or after


def _cause(outcome: Outcome) -> str:
    """The reason in the words of whoever gave it."""
    if outcome.is_from_peer:
        name = outcome.host.name if outcome.host else "The receiving system"
        return f"{name} said: {peers_words(outcome.reply)}"
    return f"The reason: {outcome.reply.text.removesuffix('.')}."


def peers_words(reply: Reply) -> str:
    """What the peer said; without the status 0.0, which it most likely did not say."""
    has_status = (reply.subject, reply.detail) != (0, 0)
    return str(reply) if has_status else f"{reply.code} {reply.text}"
