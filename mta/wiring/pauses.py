"""Full garbage collections, kept short while many messages wait.

A full collection looks at all that is there, at once: with 100,000 messages that came in while we
run, it stops the server for 0.4 s, again and again. What one that took long has found alive is
passed over by the next (`gc.freeze`), so that each looks at what is new alone: the longest is
0.09 s then, and all together take a third of the time.

What is passed over dies all the same when nobody refers to it any more, as a message does. Only
rings are kept, of the connections that were open at that moment: until few messages wait, when
all is looked at again. It is done right after a collection, so that no garbage is kept with it.

It is a matter of the whole process, not of the spool: so it stands beside the wiring.
"""

import gc
import time
from collections.abc import Callable, Mapping

LONG = 0.05  # seconds of a collection
FEW = 10_000  # messages: to look at so many takes about as long


class ShortPauses:
    """Does so while it is entered; `waiting` gives the number of messages."""

    def __init__(
        self, waiting: Callable[[], int], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._waiting = waiting
        self._clock = clock
        self._began_at = 0.0

    def __enter__(self) -> None:
        gc.callbacks.append(self._note)

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._note)

    def _note(self, phase: str, info: Mapping[str, int]) -> None:
        """The collector begins, or has ended."""
        if info["generation"] < 2:
            return
        if phase == "start":
            self._began_at = self._clock()
        elif self._waiting() < FEW:
            gc.unfreeze()
        elif self._clock() - self._began_at > LONG:
            gc.freeze()
