"""One destination's mail that is due, in the order in which it goes."""

import asyncio
import heapq
from collections import deque
from dataclasses import dataclass, field

from mta.model.envelope import Consignment, Destination

from mta.rules.delivery.breaker import WHOLE, Breaker
from mta.rules.delivery.priority import is_turn_of_bulk, rank

Ranked = tuple[float, int, Consignment]
Waiter = asyncio.Future[Consignment | None]  # a trip without mail: it gets some, or None


@dataclass(slots=True, eq=False)
class Line:
    """Mail of one kind, the highest rank first."""

    ready: deque[Consignment] = field(default_factory=deque)
    ranked: list[Ranked] = field(default_factory=list)  # a heap of those with a priority

    @property
    def has_mail(self) -> bool:
        """Whether anything stands in it."""
        return bool(self.ready or self.ranked)

    def put(self, consignment: Consignment, order: int) -> None:
        """Take what is due; `order` is a number that grows, for those of one rank."""
        if consignment.envelope.request.priority:
            heapq.heappush(self.ranked, (rank(consignment), order, consignment))
        else:
            self.ready.append(consignment)

    def take(self) -> Consignment:
        """What goes next, where there is mail."""
        if self.ranked and (not self.ready or self.ranked[0][0] <= rank(self.ready[0])):
            return heapq.heappop(self.ranked)[2]
        return self.ready.popleft()

    def take_older(self, than: float) -> list[Consignment]:
        """What comes first of it and was released before that moment."""
        found = []
        while self.ready and self.ready[0].envelope.released_at < than:
            found.append(self.ready.popleft())
        while self.ranked and self.ranked[0][2].envelope.released_at < than:
            found.append(heapq.heappop(self.ranked)[2])
        return found

    def take_all(self) -> list[Consignment]:
        """All of it, in no order."""
        found = [*self.ready, *(consignment for _, _, consignment in self.ranked)]
        self.ready.clear()
        self.ranked.clear()
        return found


@dataclass(slots=True, eq=False)
class Lane:
    """One destination's mail that is due, and what is known of its reach.

    What is one of many that are alike stands in a line of its own, beside that of all others.
    """

    destination: Destination
    site: str = ""  # "" where it has yet to be found
    urgent: Line = field(default_factory=Line)
    bulk: Line = field(default_factory=Line)
    in_a_row: int = 0  # how many urgent ones went while bulk waited
    trips: int = 0
    lingering: "list[Waiter]" = field(default_factory=list)
    owed: int = 0  # trips that are to end although there is mail: their slots are wanted back
    is_in_line: bool = False  # for a slot
    waits_as_bulk: bool = False  # there, without urgent mail
    breaker: Breaker = WHOLE

    @property
    def is_idle(self) -> bool:
        """Whether nothing is due or under way here."""
        return not (self.has_mail or self.trips or self.is_in_line)

    @property
    def has_mail(self) -> bool:
        """Whether anything is due."""
        return self.urgent.has_mail or self.bulk.has_mail

    @property
    def may_travel(self) -> bool:
        """Whether it wants a trip more, and may have it: a destination is probed by one alone."""
        return self.has_mail and not (self.breaker.is_probing and self.trips)

    def put(self, consignment: Consignment, order: int) -> None:
        """Take what is due; `order` as in `Line`."""
        line = self.bulk if consignment.envelope.request.is_bulk else self.urgent
        line.put(consignment, order)

    def take(self) -> Consignment:
        """What goes next, where there is mail."""
        if not self.bulk.has_mail:
            return self.urgent.take()
        if not self.urgent.has_mail or is_turn_of_bulk(self.in_a_row):
            self.in_a_row = 0
            return self.bulk.take()
        self.in_a_row += 1
        return self.urgent.take()

    def take_older(self, than: float) -> list[Consignment]:
        """As in `Line`, of both."""
        return self.urgent.take_older(than) + self.bulk.take_older(than)

    def take_all(self) -> list[Consignment]:
        """All that is due, in no order."""
        return self.urgent.take_all() + self.bulk.take_all()
