"""How much a site is sent now: more with each success, less at the first complaint.

Connections grow and shrink as TCP's window does: one more for each success until there was trouble,
then one more for each round of them, and half as many at trouble. A complaint about our rate
halves the rate as well: it is held, then doubled again and again until it is what it was. A
site that wants to be left alone is shut, then probed with one message.
"""

from dataclasses import replace

from mta.model.pace import Trouble
from mta.model.value import value

from mta.rules.pacing.limits import SiteLimits

REACTION = 10.0  # seconds in which what was under way may complain too: that counts once
SLOW_FOR = 600.0  # seconds that a rate is held where nobody says how long
LOWEST_RATE = 1 / 60  # messages a second; a complaint about less shuts the site
LOWEST_GOAL = 8 * LOWEST_RATE  # what a rate must be again before it is forgotten
PAUSE_FOR = 3600.0  # seconds that a site is shut where nobody says how long
LONGEST_PAUSE = 4 * 3600.0  # unless somebody says longer


@value
class Why:
    """What slowed us down: the id of the rule that knew it, and the peer's words."""

    rule: str
    text: str = ""


NOTHING = Why("")


@value
class Pace:
    """How much a site is sent now. Moments are in Unix seconds, rates in messages a second.

    `window` is how many connections there may be, of which fractions grow. `rate` is 0.0 where
    nothing holds it back; it grows towards `goal` at `until`, and each `hold` seconds after. While
    `is_shut` nothing goes until `until`; then the site `is_probing`: one message finds out.
    `paused` is how long it was shut the last time.
    """

    window: float
    has_met_trouble: bool = False
    rate: float = 0.0
    goal: float = 0.0
    hold: float = 0.0
    until: float = 0.0
    is_shut: bool = False
    is_probing: bool = False
    paused: float = 0.0
    reacted_at: float = 0.0
    why: Why = NOTHING

    @property
    def is_free(self) -> bool:
        """Whether only the site's limits hold it back."""
        return not (self.rate or self.is_shut or self.is_probing)


@value
class SiteState:
    """All that is known of a site: its pace, and what `trouble` held it back the last time.

    `sent` messages went on `day`, the days since 1970 (UTC); they count while it warms up.
    """

    site: str
    pace: Pace
    day: float = 0.0
    sent: int = 0
    trouble: Trouble | None = None


def first_pace(limits: SiteLimits) -> Pace:
    """How a site is met of which nothing is known yet."""
    return Pace(float(min(limits.first_connections, limits.connections)))


def after_success(pace: Pace, limits: SiteLimits, count: int, now: float) -> Pace:
    """After so many messages that the site has taken, or refused for their own sake."""
    if pace.is_shut:  # that was under way when it was shut
        return pace
    if pace.is_probing:
        pace = replace(pace, is_probing=False, until=now + pace.hold)
    if pace.window >= limits.connections:
        return pace
    grown = count / max(1.0, pace.window) if pace.has_met_trouble else float(count)
    return replace(pace, window=min(float(limits.connections), pace.window + grown))


def after_no_connection(pace: Pace, now: float) -> Pace:
    """After a host of the site could not be reached, or broke off: half the connections."""
    if now < pace.reacted_at + REACTION:
        return pace
    return replace(_halved(pace), reacted_at=now)


def after_complaint(pace: Pace, *, why: Why, seconds: float, measured: float, now: float) -> Pace:
    """After an answer that means "slow down", for so many `seconds` (0.0: who knows).

    `measured` is the rate at which we were sending. A complaint about the lowest rate, or of a
    site that is being probed, shuts it.
    """
    if pace.is_shut or now < pace.reacted_at + REACTION:
        return pace
    if pace.is_probing or 0 < pace.rate <= LOWEST_RATE:
        return after_pause(pace, why=why, seconds=seconds, measured=measured, now=now)
    hold = seconds or SLOW_FOR
    rate = max(LOWEST_RATE, (pace.rate or measured) / 2)
    return replace(
        _halved(pace),
        rate=rate,
        goal=max(pace.goal, measured, LOWEST_GOAL),
        hold=hold,
        until=now + hold,
        reacted_at=now,
        why=why,
    )


def after_pause(pace: Pace, *, why: Why, seconds: float, measured: float, now: float) -> Pace:
    """After an answer that means "leave us alone", for so many `seconds`; longer each time."""
    if pace.is_shut:
        return pace
    asked = seconds or PAUSE_FOR
    length = max(asked, min(2 * pace.paused, LONGEST_PAUSE))
    goal = max(pace.goal, measured, LOWEST_GOAL)
    return Pace(
        window=1.0,
        has_met_trouble=True,
        rate=max(LOWEST_RATE, goal / 8),  # what it begins with again
        goal=goal,
        hold=SLOW_FOR,
        until=now + length,
        is_shut=True,
        paused=length,
        reacted_at=now,
        why=why,
    )


def as_of(pace: Pace, now: float) -> Pace:
    """The same pace when time has passed: shut ones are probed, slow ones go faster again."""
    if not pace.until or now < pace.until:
        return pace
    if pace.is_shut:
        return replace(pace, is_shut=False, is_probing=True, until=0.0)
    if pace.is_probing:
        return pace
    rate = 2 * pace.rate
    if rate >= pace.goal:
        return Pace(pace.window, has_met_trouble=True, reacted_at=pace.reacted_at)
    return replace(pace, rate=rate, until=now + pace.hold)


def _halved(pace: Pace) -> Pace:
    return replace(pace, window=max(1.0, pace.window / 2), has_met_trouble=True)
