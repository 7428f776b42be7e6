"""What the outcomes of an attempt mean for the pace of a site."""

from collections.abc import Iterable

from mta.model.outcome import Outcome, Stage, Verdict
from mta.model.pace import Trouble
from mta.model.ruling import Cause, Response

from mta.rules.pacing.pace import Pace, Why, after_complaint, after_no_connection, after_pause
from mta.rules.refusals.classify import classify


def trouble_in(outcomes: Iterable[Outcome], site: str) -> Trouble | None:
    """The gravest trouble of a site's that these outcomes tell of; None where there is none.

    What is about a recipient or a message is no trouble of the site's.
    """
    gravest = None
    for outcome in outcomes:
        if outcome.verdict is not Verdict.DELIVERED:
            trouble = _trouble(outcome, site)
            if gravest is None or _gravity(trouble) > _gravity(gravest):
                gravest = trouble
    return gravest


def after_trouble(pace: Pace, trouble: Trouble, measured: float, now: float) -> Pace:
    """The pace after trouble; `measured` is how many messages a second were sent before."""
    why = Why(trouble.rule, trouble.text)
    gravity = _gravity(trouble)
    if gravity == _LOST:
        return after_no_connection(pace, now)
    step = after_pause if gravity == _SHUT else after_complaint
    return step(pace, why=why, seconds=trouble.seconds, measured=measured, now=now)


_LOST, _SLOW, _SHUT = 1, 2, 3
_UNHEARD = (Stage.CONNECT, Stage.GREETING, Stage.HELLO)


def _trouble(outcome: Outcome, site: str) -> Trouble | None:
    ruling = classify(outcome, site)
    if ruling is None:
        return None
    trouble = Trouble.of(outcome, ruling)
    return trouble if _gravity(trouble) else None


def _gravity(trouble: Trouble | None) -> int:
    if trouble is None:
        return 0
    ruling = trouble.ruling
    if ruling.response is Response.PAUSE:
        return _SHUT
    if ruling.response is Response.SLOW:
        return _SLOW
    if ruling.response is Response.HOLD and ruling.is_of_our_address:
        return _SLOW  # all that goes there would be kept, and refused again
    return _LOST if ruling.cause is Cause.NETWORK and trouble.stage in _UNHEARD else 0
