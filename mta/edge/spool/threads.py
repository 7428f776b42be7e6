"""Threads for what blocks and is no business of the journal's own."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar, cast

from mta.edge.spool.disk import trouble_of

A = TypeVar("A")
T = TypeVar("T")

_FEW = 8  # that share a thread, so that a slow disk can still seek for several


class Threads:
    """A few, so that who reads a message need not wait for those that move."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(4, "spool-files")

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

    To hand something to a thread and hear of it costs twice what reading a small message does.
    """

    def __init__(self, threads: Threads, work: Callable[[A], T]) -> None:
        self._threads = threads
        self._work = work
        self._called: list[tuple[A, asyncio.Future[T]]] = []
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
        called, self._called = self._called, []
        for start in range(0, len(called), _FEW):
            task = asyncio.create_task(self._do(called[start : start + _FEW]), name="spool files")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

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
