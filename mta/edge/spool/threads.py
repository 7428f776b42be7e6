"""Threads for what blocks and is no business of the journal's own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mta.edge.spool.disk import trouble_of

T = TypeVar("T")


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

    def end(self) -> None:
        """Wait for what is under way: even where nobody does any more, it may still run."""
        self._pool.shutdown()
