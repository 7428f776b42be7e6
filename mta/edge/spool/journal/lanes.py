"""Threads for the journal: each has one turn at a time. And how long theirs take."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread

from mta.edge.spool.journal.turns import Turn

_DOUBT = 8

_Job = tuple[Turn, asyncio.AbstractEventLoop]


class Lanes:
    """As many threads as turns were ever under way at once.

    Each does `work` with a turn, its own number and the event loop; `ended` is then called
    there with the turn.
    """

    def __init__(
        self,
        work: Callable[[Turn, int, asyncio.AbstractEventLoop], object],
        ended: Callable[[Turn], None],
        *,
        thread: Callable[..., Thread] = Thread,
    ) -> None:
        self._work = work
        self._ended = ended
        self._thread = thread
        self._threads: list[Thread] = []
        self._jobs: list[SimpleQueue[_Job | None]] = []
        self._idle: list[int] = []

    @property
    def are_there(self) -> bool:
        """Whether a turn was ever given to one."""
        return bool(self._threads)

    def give(self, turn: Turn) -> None:
        """Have it done; by the first, after what that has, where no more threads are to be had.

        Raises RuntimeError where there is none at all.
        """
        if not self._idle:
            self._start()
        number = self._idle.pop() if self._idle else 0
        self._jobs[number].put((turn, asyncio.get_running_loop()))

    def end(self) -> None:
        """Wait for what is under way, and end the threads."""
        for jobs in self._jobs:
            jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        number, jobs = len(self._threads), SimpleQueue[_Job | None]()
        # A daemon: a program that fails before it closes the spool must still end.
        thread = self._thread(
            target=self._run, args=(number, jobs), name="spool-journal", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            if not self._threads:
                raise
            return
        self._threads.append(thread)
        self._jobs.append(jobs)
        self._idle.append(number)

    def _run(self, number: int, jobs: SimpleQueue[_Job | None]) -> None:
        while job := jobs.get():
            turn, loop = job
            self._work(turn, number, loop)
            self._idle.append(number)  # first: the next turn is given to the same thread then
            tell(loop, self._ended, turn)


class Pace:
    """How long syncs take lately, in seconds.

    A disk is believed to be fast at once, and slow after some syncs: a thread that has waited for
    the interpreter seems to have had a slow one.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def note(self, took: float) -> None:
        """A sync took so long."""
        doubt = 1 if took < self.seconds else _DOUBT
        self.seconds += (took - self.seconds) / doubt


def tell(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: Turn) -> None:
    """Have the event loop call this. Where it has ended, so have all who waited."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *arguments)
