"""Who may connect, and where to: so many connections in all, so many to each destination.

There is one `Slots` for the whole server. Its holders are the dispatchers, one in each process.
"""

from collections import Counter, deque
from dataclasses import dataclass
from typing import TypeVar

from mta.model.envelope import Destination

from mta.flow.ports import SlotHolder

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Room:
    """How much may be under way at once: connections in all, and to one destination.

    `linger` is how long a connection is kept for more mail, in seconds, while nobody else
    needs its room.
    """

    concurrency: int
    per_destination: int
    messages_per_connection: int
    linger: float = 0.0


class Slots:
    """Grants connections in the order in which they are asked for.

    Who waits for room in all waits in one line. Who waits for a full destination waits beside
    it, in nobody's way, and whoever holds most there is asked to give one back if that is
    fairer.
    """

    def __init__(self, room: Room) -> None:
        self.room = room
        self._holders: list[SlotHolder] = []
        self._held: Counter[tuple[SlotHolder, Destination]] = Counter()
        self._taken: Counter[Destination] = Counter()
        self._total = 0
        self._line: deque[tuple[SlotHolder, Destination]] = deque()
        self._beside: dict[Destination, deque[SlotHolder]] = {}
        self._shortage = 0

    def join(self, holder: SlotHolder) -> None:
        """Another one may ask from now on."""
        self._holders.append(holder)

    def leave(self, holder: SlotHolder) -> None:
        """One is gone, with all that it held and asked for."""
        self._holders.remove(holder)
        self._line = deque(ask for ask in self._line if ask[0] is not holder)
        for waiting in self._beside.values():
            if holder in waiting:
                waiting.remove(holder)
        for (owner, destination), count in list(self._held.items()):
            for _ in range(count if owner is holder else 0):
                self.give_back(holder, destination)

    def ask(self, holder: SlotHolder, destination: Destination) -> None:
        """Stand in line for one connection; `grant` brings it."""
        if self._taken[destination] < self.room.per_destination:
            self._line.append((holder, destination))
        else:
            self._beside.setdefault(destination, deque()).append(holder)
            self._ask_back(destination, holder)

    def give_back(self, holder: SlotHolder, destination: Destination) -> None:
        """A connection that was granted is closed, or not wanted."""
        _count_down(self._held, (holder, destination))
        _count_down(self._taken, destination)
        self._total -= 1
        waiting = self._beside.get(destination)
        if waiting:
            self._line.append((waiting.popleft(), destination))
        if not waiting:
            self._beside.pop(destination, None)

    def grant(self) -> None:
        """Grant whatever there is room for, and say how many wait for room in all."""
        while self._line and self._total < self.room.concurrency:
            holder, destination = self._line.popleft()
            if self._taken[destination] >= self.room.per_destination:
                self.ask(holder, destination)  # it filled while this one stood in line
                continue
            self._taken[destination] += 1
            self._total += 1
            self._held[holder, destination] += 1
            holder.granted(destination)
        if len(self._line) != self._shortage:
            self._shortage = len(self._line)
            for holder in self._holders:
                holder.shortage_is(self._shortage)

    def _ask_back(self, destination: Destination, asker: SlotHolder) -> None:
        """Have the one who holds most there give one back, where that brings the two nearer."""
        richest = max(self._holders, key=lambda holder: self._held[holder, destination])
        if self._held[richest, destination] - self._held[asker, destination] > 1:
            richest.wanted_back(destination)


def _count_down(counter: Counter[T], key: T) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
