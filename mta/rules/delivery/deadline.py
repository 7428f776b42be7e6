"""By when a message is to be delivered, and what becomes of it after that (RFC 2852)."""

from collections.abc import Sequence
from math import inf

from mta.model.envelope import Envelope
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict
from mta.model.request import Deadline, Late, Notice, RecipientRequest

from mta.rules.delivery.retry import RetryPlan

# Seconds before a deadline, when the last attempt begins: it takes some itself. No more than a
# quarter of a message's time.
LAST_CALL = 10.0
_NEVER = frozenset({Notice.NEVER})
_MISSED = (4, 7)  # delivery time expired, RFC 3463 §3.5
_UNKEPT = (3, 3)  # the system is not capable of what was asked, RFC 3463 §3.4


def over_at(by: Deadline | None) -> float:
    """When a message must not be delivered any more, in Unix seconds; inf for never."""
    return inf if by is None or by.if_late is Late.NOTIFY else by.at


def is_over(by: Deadline | None, now: float) -> bool:
    """Whether a message must not be delivered any more."""
    return now >= over_at(by)


def end_of(plan: RetryPlan, envelope: Envelope) -> float:
    """When the last attempt is due, in Unix seconds: by the plan, or sooner by the deadline."""
    ends_at = envelope.released_at + plan.give_up_after
    by = envelope.request.deadline
    if by is None or by.if_late is Late.NOTIFY:
        return ends_at
    return min(ends_at, by.at - min(LAST_CALL, (by.at - envelope.released_at) / 4))


def leaves_at(by: Deadline, released_at: float, margin: float) -> float:
    """When a message leaves the direct road for the second one, in Unix seconds.

    `margin` seconds before its deadline; or in the middle of its time, where that is shorter.
    """
    return by.at - max(0.0, min(margin, (by.at - released_at) / 2))


def waits_until(envelope: Envelope, places: Sequence[int], margin: float | None) -> float:
    """Until when what is due of a message may wait for its turn, in Unix seconds.

    `margin` is that of `leaves_at`, where there is a second road for the sake of a deadline; None
    where there is none. inf where it may wait for ever.
    """
    by = envelope.request.deadline
    if by is None:
        return inf
    recipients = envelope.recipients
    if margin is not None and not all(recipients[place].may_have_arrived for place in places):
        return leaves_at(by, envelope.released_at, margin)
    return over_at(by)


def late_after(seconds: float, envelope: Envelope) -> float:
    """When a message is late, in Unix seconds: when its sender says, or so long after its release.

    inf where that is never: `seconds` is 0, and the sender does not say.
    """
    by = envelope.request.deadline
    if by is not None and by.if_late is Late.NOTIFY:
        return by.at
    return envelope.released_at + seconds if seconds else inf


def final(last: Outcome | None, by: Deadline | None, now: float) -> Outcome | None:
    """The outcome of a message that is given up: that its deadline is missed, if that is why."""
    if by is None or by.if_late is Late.NOTIFY or now < by.at - LAST_CALL:
        return last
    return missed(last)


def out_of_time(text: str) -> Outcome:
    """The outcome of mail whose time on a road is over, before anything came of it there."""
    return Outcome(Verdict.DEFERRED, Reply(451, text, *_MISSED), Stage.CONNECT, Scope.MESSAGE, None)


def missed(last: Outcome | None) -> Outcome:
    """The outcome of a message whose time is over, after `last`."""
    text = "the time that its sender gave it is over"
    if last is None:
        return Outcome(
            Verdict.FAILED, Reply(550, text, *_MISSED), Stage.LOOKUP, Scope.MESSAGE, None
        )
    reply = Reply(550, f"{text}; at last: {last.reply}", *_MISSED)
    return Outcome(Verdict.FAILED, reply, last.stage, Scope.MESSAGE, last.host, tls=last.tls)


def is_missed(outcome: Outcome | None) -> bool:
    """Whether `missed` made it."""
    if outcome is None or outcome.is_from_peer or outcome.verdict is not Verdict.FAILED:
        return False
    return (outcome.reply.subject, outcome.reply.detail) == _MISSED


def is_unkept(outcome: Outcome) -> bool:
    """Whether `objection` made it for a host that keeps no deadlines."""
    reply = outcome.reply
    return not outcome.is_from_peer and (reply.subject, reply.detail) == _UNKEPT


def is_relay_told(by: Deadline | None, request: RecipientRequest, outcome: Outcome) -> bool:
    """Whether a sender hears that a message was passed on, without having asked for successes.

    If each step is to be traced; and if nobody keeps the promise from here on to tell of a delay.
    """
    if by is None or request.notices == _NEVER:
        return False
    return by.is_traced or (by.if_late is Late.NOTIFY and not outcome.peer_keeps_deadline)


def objection(by: Deadline, now: float, *, is_offered: bool, least: int) -> Reply | None:
    """Why a message cannot go to a peer, which asks for at least `least` seconds; None if it can.

    What is to come back when it is late goes to nobody who would not send it back; nothing goes
    to anybody after its deadline, unless it is to be delivered all the same.
    """
    if is_over(by, now):
        return Reply(550, "the time that its sender gave it is over", *_MISSED)
    if by.if_late is not Late.RETURN:
        return None
    if not is_offered:
        return Reply(550, "the message has a deadline, and the host does not keep any", *_UNKEPT)
    left = _left(by, now)
    if left < max(least, 1):
        text = f"the host wants {least} seconds for a message, and {left} are left for this one"
        return Reply(550, text, *_MISSED)
    return None


def behind_mail(by: Deadline, now: float) -> str:
    """The parameter of MAIL for a peer that keeps deadlines, a space before it: what is left."""
    if by.if_late in (Late.DROP, Late.FAIL):
        return ""
    return f" BY={_left(by, now)};{by.if_late}{'T' if by.is_traced else ''}"


def _left(by: Deadline, now: float) -> int:
    return max(-999_999_999, min(int(by.at - now), 999_999_999))  # nine digits, RFC 2852 §4
