"""Who may connect, and where to: so many connections in all, so many to each site, at its pace.

There is one `Slots` for the whole server. Its holders are the dispatchers, one in each process.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from mta.model.envelope import Destination
from mta.model.pace import Trouble

from mta.rules.pacing.limits import Pacing, SiteLimits
from mta.rules.pacing.pace import SiteState

from mta.flow.delivery.siteroom import Berth, SiteRoom
from mta.flow.ports import Clock, SlotHolder

MAX_IDLE_SITES = 10_000  # past which what is known of idle sites is let go


@dataclass(frozen=True, slots=True)
class Room:
    """How much may be under way at once: connections in all, and to one site.

    `per_destination` and `messages_per_connection` are for sites of which `pacing` says nothing
    else. `linger` is how long a connection is kept for more mail, in seconds, while nobody else
    needs its room.
    """

    concurrency: int
    per_destination: int
    messages_per_connection: int
    linger: float = 0.0
    pacing: Pacing = field(default_factory=Pacing)

    def limits_of(self, site: str) -> SiteLimits:
        """What one site is sent at most."""
        default = SiteLimits(self.per_destination, self.messages_per_connection)
        return self.pacing.limits_of(site, default)


class Slots:
    """Grants connections in the order in which they are asked for.

    Who waits for room in all waits in one line. Who waits for a full site, or for its time, waits
    beside it, in nobody's way, and whoever holds most there is asked to give one back if that is
    fairer.
    """

    def __init__(self, room: Room, *, clock: Clock) -> None:
        self._room = room
        self._clock = clock
        self._holders: list[SlotHolder] = []
        self._sites: dict[str, SiteRoom] = {}
        self._total = 0
        self._line: deque[tuple[SlotHolder, Destination, SiteRoom]] = deque()
        self._waking: list[tuple[float, str]] = []  # a heap of sites that only time opens
        self._shortage = 0

    @property
    def next_at(self) -> float | None:
        """When there will be something to grant that time alone keeps back."""
        return self._waking[0][0] if self._waking else None

    def renew(self, room: Room) -> None:
        """Put other limits in force."""
        self._room = room
        for site in self._sites.values():
            site.renew(room.limits_of(site.name))
            self._expect(site)

    def restore(self, states: Iterable[SiteState]) -> None:
        """Go on with what an earlier life of ours knew of sites."""
        for state in states:
            site = self._site(state.site)
            site.restore(state)
            self._tell(site)

    def changed_states(self) -> Sequence[SiteState] | None:
        """All that is to be kept of sites, if any of it has changed since this was asked."""
        sites = self._sites.values()
        if not any(site.has_changed for site in sites):
            return None
        for site in sites:
            site.has_changed = False
        return [state for site in sites if (state := site.state) is not None]

    def join(self, holder: SlotHolder) -> None:
        """Another one may ask from now on."""
        self._holders.append(holder)
        for site in self._sites.values():
            if not site.told.is_free:
                holder.throttled(site.told, is_news=False)

    def leave(self, holder: SlotHolder) -> None:
        """One is gone, with all that it held and asked for."""
        self._holders.remove(holder)
        kept = deque(ask for ask in self._line if ask[0] is not holder)
        for _, _, site in self._line:
            site.in_line = 0
        for _, _, site in kept:
            site.in_line += 1
        self._line = kept
        for site in list(self._sites.values()):
            site.waiting = deque(berth for berth in site.waiting if berth[0] is not holder)
            for (owner, destination), count in list(site.held.items()):
                for _ in range(count if owner is holder else 0):
                    self.give_back(holder, destination, site.name)

    def ask(self, holder: SlotHolder, destination: Destination, site: str) -> None:
        """Stand in line for one connection; `grant` brings it."""
        self._stand(holder, destination, self._site(site))

    def give_back(
        self,
        holder: SlotHolder,
        destination: Destination,
        site: str,
        *,
        unused: int = 0,
        sent: int = 0,
    ) -> None:
        """A connection that was granted is closed, or not wanted: `unused` messages are left.

        `sent` are those since it was granted, or since the last `report`.
        """
        self._total -= 1
        its = self._sites[site]
        its.give_back(holder, destination, unused, sent, self._clock())
        self._expect_all(its)

    def report(self, site: str, *, sent: int, trouble: Trouble | None = None) -> None:
        """Messages went well, of a connection that is still in use; and what came then."""
        its, now = self._site(site), self._clock()
        its.went(sent, now)
        if trouble is not None:
            its.suffer(trouble, now)
            self._tell(its)
        self._expect_all(its)

    def grant(self) -> None:
        """Grant whatever there is room for, and say how many wait for room in all."""
        now = self._clock()
        self._wake(now)
        while self._line and self._total < self._room.concurrency:
            holder, destination, site = self._line.popleft()
            site.in_line -= 1
            messages = site.take(holder, destination, now)
            if not messages:  # it filled while this one stood in line
                self._stand(holder, destination, site)
                continue
            self._total += 1
            if site.waiting:
                self._expect(site)
            if not site.is_free:
                self._tell(site)
            holder.granted(destination, site.name, messages)
        if len(self._line) != self._shortage:
            self._shortage = len(self._line)
            for holder in self._holders:
                holder.shortage_is(self._shortage)

    def _site(self, name: str) -> SiteRoom:
        site = self._sites.get(name)
        if site is None:
            if len(self._sites) >= MAX_IDLE_SITES:
                self._let_go()
            site = SiteRoom(name, self._room.limits_of(name), self._clock())
            self._sites[name] = site
        return site

    def _stand(self, holder: SlotHolder, destination: Destination, site: SiteRoom) -> None:
        now = self._clock()
        if site.has_connection and site.opens_at(now) <= now:
            self._line_up(holder, destination, site)
            return
        site.waiting.append((holder, destination))
        if site.has_connection:
            self._expect(site)
        else:
            _ask_back(site, (holder, destination))

    def _line_up(self, holder: SlotHolder, destination: Destination, site: SiteRoom) -> None:
        site.in_line += 1
        self._line.append((holder, destination, site))

    def _expect(self, site: SiteRoom) -> None:
        """Let one that waits beside a site stand in line, now or when it is time."""
        if not site.waiting or not site.has_connection:
            return
        now = self._clock()
        at = site.opens_at(now)
        if at <= now:
            self._line_up(*site.waiting.popleft(), site)
        elif at < site.wakes_at:
            site.wakes_at = at
            heapq.heappush(self._waking, (at, site.name))

    def _wake(self, now: float) -> None:
        while self._waking and self._waking[0][0] <= now:
            at, name = heapq.heappop(self._waking)
            site = self._sites.get(name)
            if site is not None and site.wakes_at == at:
                site.wakes_at = inf
                self._expect(site)

    def _expect_all(self, site: SiteRoom) -> None:
        """The same for as many as there may be now, and say what has changed."""
        for _ in range(min(len(site.waiting), site.connections_left)):
            self._expect(site)
        if not site.is_free:
            self._tell(site)

    def _tell(self, site: SiteRoom) -> None:
        """Tell all holders how a site is held back, where that has changed; one of them as news."""
        throttle = site.throttle(self._clock())
        if throttle == site.told:
            return
        site.told = throttle
        site.has_changed = True
        for place, holder in enumerate(self._holders):
            holder.throttled(throttle, is_news=place == 0)

    def _let_go(self) -> None:
        """Forget sites where nothing is under way: those first of which there is least to know."""
        idle = [site for site in self._sites.values() if not site.is_busy]
        idle.sort(key=lambda site: (not site.pace.is_free, site.pace.reacted_at))
        for site in idle[: MAX_IDLE_SITES // 2]:
            del self._sites[site.name]


def _ask_back(site: SiteRoom, asker: Berth) -> None:
    """Have the one who holds most there give one back, where that brings the two nearer."""
    richest = max(site.held, key=site.held.__getitem__, default=asker)
    if site.held[richest] - site.held[asker] > 1:
        holder, destination = richest
        holder.wanted_back(destination)
