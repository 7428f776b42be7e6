"""The history's face: what was handed in, by whom, under which key, and what became of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mta.model.envelope import Envelope, MessageId
from mta.model.event import Event
from mta.model.trace import Entry, Trace

from mta.edge.history import pages

if TYPE_CHECKING:  # SQLite takes 1 MB, which most servers never need
    from sqlite3 import Connection

    from mta.edge.history.pen import Pen

FILE = "history.db"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Terms:
    """For how many seconds is remembered what is settled, and a key since it came."""

    keep: float
    keys: float


class History:
    """The ledger of one process; several have one database. See `Ledger`.

    Nothing is loaded or opened before it is needed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        terms: Terms,
        clock: Callable[[], float],
        process: int = 0,
        count: int = 1,
    ) -> None:
        """`process` is the number of ours, from 0, of `count`."""
        self.terms = terms
        self._folder = folder
        self._clock = clock
        self._process = process
        self._count = count
        self._own_pen: Pen | None = None

    async def claim(self, trace: Trace) -> Entry | None:
        """See `Ledger`."""
        expired = self._clock() - self.terms.keys

        def work(base: "Connection") -> Entry | None:
            before = pages.holder(base, trace.entry, self._process, expired)
            if before is None:
                pages.enter(base, trace, self._process)
            return before

        return await self._pen.do(work)

    async def close(self, entry: Entry) -> None:
        """See `Ledger`."""
        now = self._clock()
        await self._pen.do(lambda base: pages.close(base, entry.id, now))

    async def renew(self, envelope: Envelope) -> None:
        """See `Ledger`."""
        now = self._clock()
        await self._pen.do(lambda base: pages.renew(base, envelope, self._process, now))

    async def unsettled(self) -> Sequence[Entry]:
        """See `Ledger`."""
        if not self._is_there():
            return ()
        return await self._pen.do(lambda base: pages.unsettled(base, self._process, self._count))

    async def trace(self, id: MessageId, user: str) -> Trace | None:
        """See `Ledger`."""
        if not self._is_there():
            return None
        return await self._pen.do(lambda base: pages.trace(base, id, user))

    def note(self, event: Event) -> None:
        """See `Ledger`."""
        self._pen.do_soon(lambda base: pages.note(base, event))

    async def flush(self) -> None:
        """See `Ledger`."""
        await self._pen.do(lambda base: None)

    async def sweep(self, now: float) -> None:
        """Forget what is old. Raises LedgerError."""
        if not self._is_there():
            return
        terms = self.terms
        await self._pen.do(lambda base: pages.sweep(base, now - terms.keep, now - terms.keys))

    def shut(self) -> None:
        """Write down what waits, and close. Blocks."""
        if self._own_pen is not None:
            self._own_pen.close()

    def _is_there(self) -> bool:
        return self._own_pen is not None or (self._folder / FILE).exists()

    @property
    def _pen(self) -> "Pen":
        if self._own_pen is None:
            from mta.edge.history.pen import Pen, opened

            self._own_pen = Pen(lambda: opened(self._folder / FILE, self._clock()))
        return self._own_pen
