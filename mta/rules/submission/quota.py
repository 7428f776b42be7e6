"""How much may be sent within an hour and a day, and when there is room again.

What was sent is counted in the present window and the one before it. Of the one before, that part
counts which the last hour, or day, still reaches: as if it had come in evenly. So nothing of a
client's past is kept but two sums, and no burst at a window's edge gets twice the allowance.
"""

import math
from collections.abc import Mapping
from operator import add
from typing import NamedTuple

from mta.model.user import Allowance
from mta.model.value import value

HOUR, DAY = 3_600.0, 86_400.0


class Load(NamedTuple):
    """What is to be counted, or was."""

    connections: int = 0
    messages: int = 0
    recipients: int = 0
    octets: int = 0


@value
class Window:
    """What was counted since `began_at`, in Unix seconds, and in the window before."""

    began_at: float = 0.0
    before: Load = Load()
    since: Load = Load()

    def at(self, now: float, seconds: float) -> "Window":
        """The window of this length that `now` is in; a clock that was set back moves nothing."""
        age = now - self.began_at
        if age < seconds:
            return self
        began_at = now - now % seconds
        return Window(began_at, self.since if age < 2 * seconds else Load())

    def plus(self, load: Load) -> "Window":
        """With so much more."""
        return Window(self.began_at, self.before, Load(*map(add, self.since, load)))


@value
class Shortage:
    """What there is too much of, and in how many seconds it may be tried again.

    Infinite: it is more by itself than is ever allowed.
    """

    kind: str
    seconds: float
    window: float  # seconds: of an hour, or of a day


Account = Mapping[float, Window]  # by its length
EMPTY: Account = {HOUR: Window(), DAY: Window()}


def account_at(account: Account, now: float) -> Account:
    """The account with its windows moved to `now`."""
    return {seconds: window.at(now, seconds) for seconds, window in account.items()}


def charged(account: Account, load: Load, now: float) -> Account:
    """The account with so much more in it."""
    return {seconds: window.plus(load) for seconds, window in account_at(account, now).items()}


def shortage(
    account: Account, load: Load, allowances: Mapping[float, Allowance], now: float
) -> Shortage | None:
    """Why so much more is not allowed now; None if it is.

    `allowances` by the length of their windows. Of several shortages, the longest.
    """
    found = [
        Shortage(kind, _seconds_to_room(window, place, load[place], limit, now, seconds), seconds)
        for seconds, window in account_at(account, now).items()
        for place, kind in enumerate(Load._fields)
        if load[place] and (limit := getattr(allowances[seconds], kind)) is not None
    ]
    worst = max(found, key=lambda one: one.seconds, default=None)
    return worst if worst is not None and worst.seconds > 0 else None


def _seconds_to_room(
    window: Window, place: int, more: int, limit: int, now: float, seconds: float
) -> float:
    """How long until `more` of the kind at `place` fits in; 0 if it does now."""
    if more > limit:
        return math.inf
    left = window.began_at + seconds - now
    before, since = window.before[place], window.since[place]
    room = limit - more - since
    if before * left / seconds <= room:
        return 0.0
    if room >= 0:  # when the window before has been forgotten for so far
        return left - seconds * room / before
    return left + seconds * (1 - (limit - more) / since)  # the same in the next window


def is_forgotten(account: Account, now: float) -> bool:
    """Whether nothing in it counts any more."""
    return all(now - window.began_at >= 2 * seconds for seconds, window in account.items())
