"""Threads for what blocks and is no business of the journal's own.

Signatures go through threads of their own in the same way (`fittings`).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar, cast

from mta.edge.spool.disk import trouble_of

A = TypeVar("A")
T = TypeVar("T")

_COUNT = 4
_FEW = 8  # that share a thread, so that a slow disk can still seek for several


class Threads:
    """A few, so that who reads a message need not wait for those that move."""

    def __init__(self, count: int = _COUNT, name: str = "spool-files") -> None:
        self.count = count
        self.name = name
        self._pool = ThreadPoolExecutor(count, name)

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """Do in a thread what blocks."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    async def on_disk(self, what: str, work: Callable[..., T], *arguments: object) -> T:
        """The same. Raises SpoolError for OSError; `what` is what could not be done then."""
        try:
            return await self.run(work, *arguments)
        except OSError as error:
            raise trouble_of(error, what) from error

    def together(self, work: Callable[[A], T]) -> "Together[A, T]":
        """`work` to be done in a thread for one argument at a time, or for many."""
        return Together(self, work)

    def end(self) -> None:
        """Wait for what is under way: even where nobody does any more, it may still run."""
        self._pool.shutdown()


class Together(Generic[A, T]):
    """Does in one thread what is called for in one round of the event loop, a few at a time.

    To hand something to a thread and hear of it costs twice what reading a small message does,
    and a third of what signing one does. What comes while all threads are busy waits here, and
    goes together too.
    """

    def __init__(self, threads: Threads, work: Callable[[A], T]) -> None:
        self._threads = threads
        self._work = work
        self._idle = threads.count
        self._called: deque[tuple[A, asyncio.Future[T]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, argument: A) -> T:
        """What `work` gives, or raises, for this argument."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        if not self._called:
            loop.call_soon(self._begin)
        self._called.append((argument, answer))
        return await answer

    def _begin(self) -> None:
        """Begin what waits, as far as there are threads for it."""
        while self._idle and (called := self._next()):
            self._idle -= 1
            task = asyncio.create_task(self._do(called), name=self._threads.name)
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _next(self) -> list[tuple[A, asyncio.Future[T]]]:
        """A few of those that wait; not those who were cancelled meanwhile."""
        called: list[tuple[A, asyncio.Future[T]]] = []
        while self._called and len(called) < _FEW:
            argument, answer = self._called.popleft()
            if not answer.done():
                called.append((argument, answer))
        return called

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._idle += 1
        self._begin()

    async def _do(self, called: Sequence[tuple[A, asyncio.Future[T]]]) -> None:
        arguments = [argument for argument, _ in called]
        results: list[tuple[T | None, BaseException | None]]
        try:
            results = list(await self._threads.run(self._results, arguments))
        except BaseException as ended:  # noqa: BLE001 - told to all who wait: nobody waits for ever
            results = [(None, ended)] * len(called)
        for (_, answer), (value, error) in zip(called, results, strict=True):
            if answer.done():  # whoever called was cancelled
                continue
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(cast(T, value))

    def _results(self, arguments: Sequence[A]) -> list[tuple[T | None, Exception | None]]:
        return [self._result(argument) for argument in arguments]

    def _result(self, argument: A) -> tuple[T | None, Exception | None]:
        try:
            return self._work(argument), None
        except Exception as error:  # noqa: BLE001 - it is raised where it was called for
            return None, error
