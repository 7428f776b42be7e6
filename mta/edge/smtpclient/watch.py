"""The time limits of one connection, one at a time, over a timer that is seldom set."""

import asyncio
from collections.abc import Callable
from math import inf

# Seconds until a timer goes off at the latest. No limit of so many or more, as QUIT's is by
# default, can then end before a timer that was set earlier, and need another.
STEP = 5.0


class Watch:
    """Says so, in words, when what is waited for has not come within its limit.

    A timer that is set and cancelled for each reply costs more than reading the reply. Here one
    is set for the first limit, left alone while later limits end after it, and looks at the
    clock again when it goes off: every STEP seconds, while anything is waited for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_late: Callable[[str], object]) -> None:
        self._loop = loop
        self._on_late = on_late
        self._deadline: float | None = None
        self._end = inf  # of all limits together
        self._whole = 0.0
        self._limit = 0.0
        self._complaint = ""
        self._timer: asyncio.TimerHandle | None = None
        self._goes_off_at = 0.0

    @property
    def is_on(self) -> bool:
        """Whether a limit runs."""
        return self._deadline is not None

    def start(self, limit: float, complaint: str) -> None:
        """From now on there are `limit` seconds, in place of any limit before.

        The peer is complained of in these words if they pass: as in "gave no reply".
        """
        self._limit = limit
        self._complaint = complaint
        now = self._loop.time()
        self._deadline = min(now + limit, self._end)
        if self._timer is None or self._deadline < self._goes_off_at:
            self._set_timer(min(self._deadline, now + STEP))

    def bound(self, limit: float) -> None:
        """All that is waited for from now on has `limit` seconds together; inf takes that back."""
        self._whole = limit
        self._end = self._loop.time() + limit

    def stop(self) -> None:
        """No limit runs any more."""
        self._deadline = None

    def close(self) -> None:
        """Stop for good, and let go of the timer and of whom to tell: the connection is to be gone.

        Both would keep it in memory, until their time or the next search for cycles.
        """
        self._deadline = None
        self._on_late = _tell_nobody
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._goes_off_at = moment
        self._timer = self._loop.call_at(moment, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        now = self._loop.time()
        if now < self._deadline:
            self._set_timer(min(self._deadline, now + STEP))
            return
        self._deadline = None
        if now < self._end:
            self._on_late(f"the peer {self._complaint} within {self._limit:.3g} seconds")
        else:
            self._on_late(f"the peer took longer than {self._whole:.6g} seconds for one message")


def _tell_nobody(_: str) -> None:
    """Take what there is nobody left to hear."""
