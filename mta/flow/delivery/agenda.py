"""When to look at which message again: a heap, so that nobody walks through the queue."""

import heapq
from collections.abc import Callable

from mta.model.envelope import MessageId

AT_ONCE = 100  # messages that are due in one call: whoever looks at them has other work as well
_FEW = 10_000  # entries among which those of messages that are gone do not matter


class Agenda:
    """Moments and messages. One that is entered twice is due twice."""

    def __init__(self, is_here: Callable[[MessageId], bool]) -> None:
        """`is_here` says whether a message still matters."""
        self._is_here = is_here
        self._entries: list[tuple[float, MessageId]] = []
        self._most = _FEW

    def enter(self, at: float, id: MessageId) -> None:
        """Look at this message at this moment, in Unix seconds."""
        heapq.heappush(self._entries, (at, id))
        if len(self._entries) > self._most:
            self._let_go()

    def due(self, now: float) -> list[MessageId]:
        """Take out what is due and still here, the earliest first, AT_ONCE at most."""
        found: list[MessageId] = []
        while self._entries and self._entries[0][0] <= now and len(found) < AT_ONCE:
            id = heapq.heappop(self._entries)[1]
            if self._is_here(id):
                found.append(id)
        return found

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def _let_go(self) -> None:
        """Forget the messages that are gone: most are, long before they are looked at."""
        self._entries = [entry for entry in self._entries if self._is_here(entry[1])]
        heapq.heapify(self._entries)
        self._most = max(_FEW, 2 * len(self._entries))
