"""What one site has room for: connections at once, and messages in a time."""

from collections import Counter, deque
from dataclasses import replace
from math import inf

from mta.model.envelope import Destination
from mta.model.pace import Throttle, Trouble

from mta.rules.pacing.bucket import Bucket, filled, group, ready_at
from mta.rules.pacing.feedback import after_trouble
from mta.rules.pacing.limits import DAY, SiteLimits
from mta.rules.pacing.pace import SiteState, after_success, as_of, first_pace

from mta.flow.ports import SlotHolder

Berth = tuple[SlotHolder, Destination]  # who connects for which of the site's domains

MEASURE = 60.0  # seconds over which our rate is measured


class SiteRoom:
    """The connections to one site, who has them and who waits, and its pace.

    Moments are in Unix seconds.
    """

    def __init__(self, name: str, limits: SiteLimits, now: float) -> None:
        self.name = name
        self.pace = first_pace(limits)
        self.taken = 0
        self.in_line = 0  # asked for, and only wanting room in all
        self.held: Counter[Berth] = Counter()
        self.waiting: deque[Berth] = deque()
        self.wakes_at = inf  # when its keeper looks at it again
        self.trouble: Trouble | None = None  # what it said the last time that it was held back
        self.told = Throttle(name)  # what its holders know
        self.has_changed = False  # since its state was kept
        self.day = now // DAY
        self.sent_today = 0
        self._bucket = Bucket(inf, now)  # as much as there may be
        self._began_at = -inf  # the latest connection
        self._measured_at = now
        self._count = 0
        self._rate_before = 0.0
        self.renew(limits)

    def renew(self, limits: SiteLimits) -> None:
        """Put other limits in force."""
        self.limits = limits
        if self.pace.window > limits.connections:
            self.pace = replace(self.pace, window=float(limits.connections))
        # Nothing but the number of connections holds it back: as for nearly all sites.
        self._is_plain = not (limits.per_hour or limits.pause or limits.warm_up)

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way or asked for."""
        return bool(self.taken or self.waiting or self.in_line)

    @property
    def state(self) -> SiteState | None:
        """What is to be kept of it; None where it is as any site at the beginning."""
        if self.pace.is_free and not self.pace.has_met_trouble and self.limits.warm_up is None:
            return None
        return SiteState(self.name, self.pace, self.day, self.sent_today, self.trouble)

    def restore(self, state: SiteState) -> None:
        """Go on with what was kept, but no longer than it was meant: clocks may be set back."""
        pace, now = state.pace, self._bucket.at
        until = min(pace.until, now + max(pace.hold, pace.paused))
        self.pace, self.trouble = replace(pace, until=until), state.trouble
        self.day, self.sent_today = state.day, state.sent
        self._bucket = Bucket(0.0, now)
        self.renew(self.limits)

    @property
    def is_free(self) -> bool:
        """Whether nothing but the number of connections holds it back, nor did when last told."""
        return self._is_plain and self.pace.is_free and self.told.is_free

    @property
    def connections_left(self) -> int:
        """How many more connections there may be, as far as their number goes."""
        return max(0, int(self.pace.window) - self.taken)

    @property
    def has_connection(self) -> bool:
        """Whether there may be one more."""
        return self.taken < int(self.pace.window)

    def opens_at(self, now: float) -> float:
        """When the next connection may begin: now, or at a moment that has yet to come."""
        if self._is_plain and self.pace.is_free:
            return now
        self.pace = pace = as_of(self.pace, now)
        at = now
        if pace.is_shut:
            at = pace.until
        if self.left_today(now) == 0:
            at = max(at, (now // DAY + 1) * DAY)
        if self.limits.pause:
            at = max(at, self._began_at + self.limits.pause)
        rate = self._rate
        if rate:
            self._bucket = filled(self._bucket, rate, now)
            at = max(at, ready_at(self._bucket, rate, self._group(rate)))
        return at

    def take(self, holder: SlotHolder, destination: Destination, now: float) -> int:
        """Begin a connection; gives how many messages it is for, 0 where it may not begin now."""
        if self.taken >= int(self.pace.window) or self.opens_at(now) > now:
            return 0
        self.taken += 1
        self.held[holder, destination] += 1
        if self._is_plain and self.pace.is_free:
            return self.limits.messages
        return self._take_messages(now)

    def give_back(
        self, holder: SlotHolder, destination: Destination, unused: int, sent: int, now: float
    ) -> None:
        """A connection has ended; of its messages `sent` went lately, and `unused` never."""
        self.went(sent, now)
        self.taken -= 1
        berth = holder, destination
        self.held[berth] -= 1
        if not self.held[berth]:
            del self.held[berth]
        if not self._is_plain:
            self.sent_today = max(0, self.sent_today - unused)
            self.has_changed = True
        if self._rate and unused:
            bucket = filled(self._bucket, self._rate, now)
            self._bucket = filled(Bucket(bucket.tokens + unused, now), self._rate, now)

    def went(self, messages: int, now: float) -> None:
        """So many more messages were sent, and the site had nothing against it."""
        if messages:
            self._count_messages(messages, now)
            before = self.pace
            self.pace = after_success(before, self.limits, messages, now)
            self.has_changed |= before.has_met_trouble and self.pace is not before

    def suffer(self, trouble: Trouble, now: float) -> None:
        """The site is in trouble, or has some with us."""
        before = self.pace
        self.has_changed = True
        self.pace = after_trouble(before, trouble, self.measured(now), now)
        if not self.pace.is_free and self.pace is not before:
            self.trouble = trouble
            self._bucket = Bucket(0.0, now)

    def throttle(self, now: float) -> Throttle:
        """How it is held back now."""
        if self._is_plain and self.pace.is_free:
            return Throttle(self.name)
        pace = self.pace = as_of(self.pace, now)
        if pace.is_shut:
            return Throttle(self.name, pace.until, is_shut=True, trouble=self.trouble)
        if self.left_today(now) == 0 and not self.taken:  # or some may be left over
            return Throttle(self.name, (now // DAY + 1) * DAY, is_shut=True)
        if pace.rate:
            return Throttle(self.name, pace.until, pace.rate, trouble=self.trouble)
        return Throttle(self.name)

    def _count_messages(self, messages: int, now: float) -> None:
        if now >= self._measured_at + MEASURE:
            self._rate_before = self._count / (now - self._measured_at)
            self._measured_at, self._count = now, 0
        self._count += messages

    def measured(self, now: float) -> float:
        """How many messages a second we sent lately."""
        if now >= self._measured_at + MEASURE:
            return self._count / (now - self._measured_at)
        return max(self._rate_before, self._count / MEASURE)

    def left_today(self, now: float) -> int | None:
        """How many messages the warm-up leaves for today (UTC); None: it does not say."""
        warm_up = self.limits.warm_up
        cap = warm_up.cap_at(now) if warm_up is not None else None
        if now // DAY != self.day:
            self.day, self.sent_today = now // DAY, 0
        return None if cap is None else max(0, cap - self.sent_today)

    @property
    def _rate(self) -> float:
        """The messages a second that may be sent, 0.0 for any number."""
        limit = (self.limits.per_hour or 0.0) / 3600
        return min(limit, self.pace.rate) if limit and self.pace.rate else limit or self.pace.rate

    def _group(self, rate: float) -> int:
        return 1 if self.pace.is_probing else group(rate, self.limits.messages)

    def _take_messages(self, now: float) -> int:
        self._began_at = now
        messages = 1 if self.pace.is_probing else self.limits.messages
        rate = self._rate
        if rate:
            messages = max(1, min(messages, int(self._bucket.tokens)))
            self._bucket = Bucket(self._bucket.tokens - messages, now)
        left = self.left_today(now)
        if left is not None:
            messages = min(messages, left)
        self.sent_today += messages
        self.has_changed = True
        return messages
