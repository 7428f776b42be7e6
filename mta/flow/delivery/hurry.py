"""What waits for its turn, and may not wait for long: it is taken out of its lane in time."""

import heapq
from itertools import count

from mta.model.envelope import Consignment

_FEW = 10_000  # entries among which those that have left do not matter


class Hurry:
    """Consignments and the moments until when they may wait, in Unix seconds.

    A lane keeps what is taken out here, and whoever takes it from there asks `leave`.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, Consignment] = {}  # by their identity: equal ones are two
        self._taken: dict[int, Consignment] = {}
        self._entries: list[tuple[float, int, Consignment]] = []
        self._order = count()
        self._most = _FEW

    @property
    def next_at(self) -> float | None:
        """When something is to be taken out."""
        while self._entries and id(self._entries[0][2]) not in self._waiting:
            heapq.heappop(self._entries)
        return self._entries[0][0] if self._entries else None

    def enter(self, at: float, consignment: Consignment) -> None:
        """It waits from now on, until `at`."""
        self._waiting[id(consignment)] = consignment
        heapq.heappush(self._entries, (at, next(self._order), consignment))
        if len(self._entries) > self._most:
            self._let_go()

    def due(self, now: float) -> list[Consignment]:
        """Take out what has waited until its moment."""
        found = []
        while (at := self.next_at) is not None and at <= now:
            consignment = heapq.heappop(self._entries)[2]
            self._taken[id(consignment)] = self._waiting.pop(id(consignment))
            found.append(consignment)
        return found

    def leave(self, consignment: Consignment) -> bool:
        """It has its turn; False: it was taken out before, and is somebody else's."""
        self._waiting.pop(id(consignment), None)
        return self._taken.pop(id(consignment), None) is None

    def _let_go(self) -> None:
        self._entries = [entry for entry in self._entries if id(entry[2]) in self._waiting]
        heapq.heapify(self._entries)
        self._most = max(_FEW, 2 * len(self._entries))
