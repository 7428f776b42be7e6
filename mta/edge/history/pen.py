"""The thread that has the database: takes what came meanwhile as one transaction, synced once."""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from mta.model.trouble import LedgerError

from mta.edge.history import pages

_log = logging.getLogger(__name__)

MAX_BATCH = 500  # steps of one transaction
BUSY_SECONDS = 5.0  # that another process of ours may have the database for

T = TypeVar("T")

_TROUBLE = (sqlite3.Error, OSError, ValueError)


@dataclass(slots=True)
class _Step:
    """One thing to do; `heard` waits for it, None: nobody does."""

    work: Callable[[sqlite3.Connection], Any]
    heard: "asyncio.Future[Any] | None"
    result: Any = None
    error: Exception | None = None


def opened(path: Path, now: float) -> sqlite3.Connection:
    """The database in this file, made where there is none; a file that is none is put aside.

    Raises sqlite3.Error, OSError or ValueError.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        return _connected(path)
    except sqlite3.OperationalError:  # the disk's trouble, or a lock
        raise
    except (sqlite3.DatabaseError, ValueError) as error:
        _put_aside(path, now, error)
        return _connected(path)


def _connected(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        path.chmod(0o600)
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = FULL")  # a sync for each transaction
        base.execute("PRAGMA foreign_keys = ON")
        pages.make(base)
    except BaseException:
        base.close()
        raise
    return base


def _put_aside(path: Path, now: float, error: Exception) -> None:
    """Keep what cannot be read for whoever looks into it; mail goes on with a new one."""
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(path.with_name(f"{path.name}.{now:.0f}.unreadable{suffix}"))
    _log.error("%s cannot be read (%s): it is put aside, and begun anew", path, error)


class Pen:
    """Writes and reads in the order in which it is told to."""

    def __init__(self, open: Callable[[], sqlite3.Connection]) -> None:
        """`open` is tried again with each step, until it gives the database."""
        self._open = open
        self._base: sqlite3.Connection | None = None
        self._waiting: SimpleQueue[_Step | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="history", daemon=True)
        self._thread.start()

    async def do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Have it done and on disk. Raises LedgerError."""
        heard: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.put(_Step(work, heard))
        return await heard

    def do_soon(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Have it done, and do not wait for that."""
        self._waiting.put(_Step(work, None))

    def close(self, limit_seconds: float = 5.0) -> None:
        """Finish what waits, and close."""
        self._waiting.put(None)
        self._thread.join(limit_seconds)

    def _work(self) -> None:
        is_last = False
        while not is_last:
            steps, is_last = self._gathered()
            if steps:
                self._take(steps)
        if self._base is not None:
            self._base.close()

    def _gathered(self) -> tuple[list[_Step], bool]:
        """What waits now, at least one; and whether nothing comes after."""
        steps = []
        step = self._waiting.get()
        while step is not None:
            steps.append(step)
            if len(steps) == MAX_BATCH or self._waiting.empty():
                return steps, False
            step = self._waiting.get()
        return steps, True

    def _take(self, steps: list[_Step]) -> None:
        """Do all in one transaction; where that fails, each in one of its own."""
        try:
            self._transact(steps)
        except _TROUBLE:
            for step in steps:
                try:
                    self._transact([step])
                except _TROUBLE as error:
                    step.error = error
                    if step.heard is None:
                        _log.error("the history misses something: %s", error)
        self._tell([step for step in steps if step.heard is not None])

    def _transact(self, steps: list[_Step]) -> None:
        if self._base is None:
            self._base = self._open()
        base = self._base
        base.execute("BEGIN IMMEDIATE")
        try:
            for step in steps:
                step.result = step.work(base)
            base.execute("COMMIT")
        except BaseException:
            if base.in_transaction:
                base.execute("ROLLBACK")
            raise

    def _tell(self, steps: list[_Step]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Step]] = {}
        for step in steps:
            assert step.heard is not None
            by_loop.setdefault(step.heard.get_loop(), []).append(step)
        for loop, theirs in by_loop.items():
            try:
                loop.call_soon_threadsafe(_deliver, theirs)
            except RuntimeError:  # the loop is closed: nobody waits any more
                continue


def _deliver(steps: list[_Step]) -> None:
    for step in steps:
        if step.heard is None or step.heard.done():
            continue
        if step.error is None:
            step.heard.set_result(step.result)
        else:
            step.heard.set_exception(LedgerError(f"the history: {step.error}"))
