"""One destination's mail that is due, in the order in which it goes."""

import asyncio
import heapq
from collections import deque
from dataclasses import dataclass, field

from mta.model.envelope import Consignment, Destination

from mta.rules.delivery.breaker import WHOLE, Breaker
from mta.rules.delivery.priority import rank

Ranked = tuple[float, int, Consignment]
Waiter = asyncio.Future[Consignment | None]  # a trip without mail: it gets some, or None


@dataclass(slots=True, eq=False)
class Lane:
    """One destination's mail that is due, and what is known of its reach."""

    destination: Destination
    site: str = ""  # "" where it has yet to be found
    ready: deque[Consignment] = field(default_factory=deque)
    ranked: list[Ranked] = field(default_factory=list)  # a heap of those with a priority
    trips: int = 0
    lingering: "list[Waiter]" = field(default_factory=list)
    owed: int = 0  # trips that are to end although there is mail: their slots are wanted back
    is_in_line: bool = False  # for a slot
    breaker: Breaker = WHOLE

    @property
    def is_idle(self) -> bool:
        """Whether nothing is due or under way here."""
        return not (self.has_mail or self.trips or self.is_in_line)

    @property
    def has_mail(self) -> bool:
        """Whether anything is due."""
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

    def take_all(self) -> list[Consignment]:
        """All that is due, in no order."""
        found = [*self.ready, *(consignment for _, _, consignment in self.ranked)]
        self.ready.clear()
        self.ranked.clear()
        return found
