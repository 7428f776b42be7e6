"""The journal: segments that are only ever appended to, and the group commit.

Whatever is to be written waits in a queue for the one writer's thread, which takes all that
waits, appends it in one call and, if there is an ACCEPT among it, syncs once. Whoever comes while
that runs is in the next turn: so every sync that acknowledges a message started after the
message's own append was complete, and a lone message waits for nobody.

RESULT, DONE and VOID return once they are written, and ride with the next sync. While the thread
has nothing to do, the event loop writes them itself: see `_writes_here`.
"""

import asyncio
import logging
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from mta.model.envelope import MessageId
from mta.model.trouble import SpoolError

from mta.edge.spool.journal import records
from mta.edge.spool.journal.records import Kind
from mta.edge.spool.journal.segments import Segments
from mta.edge.spool.journal.turns import Entry, Place, Segment, Turn

_HERE = 1 << 16  # octets that the event loop writes itself at most
_SLOW = 0.005  # seconds of a write after which it leaves them to the thread,
_PAUSE = 100  # for so many times as long: a disk that stalls takes 1 % of the loop at most

log = logging.getLogger(__name__)

_Job = tuple[Turn, Callable[[Turn], None], asyncio.AbstractEventLoop]


class Journal:
    """Appends records, and knows what each segment holds."""

    def __init__(self, files: Segments) -> None:
        self._files = files
        self._bug: SpoolError | None = None
        self._queue: list[Entry] = []
        self._has_turn = False  # one is about to start or under way: the thread has the files
        self._here_again_at = 0.0
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: Thread | None = None

    def path(self, number: int) -> Path:
        """Where a segment is, or was."""
        return self._files.path(number)

    @property
    def segments(self) -> dict[int, Segment]:
        """The files that are there, by their numbers, oldest first."""
        return self._files.there

    @property
    def live(self) -> Segment | None:
        """The segment that is being written."""
        return self._files.live

    @property
    def trouble(self) -> SpoolError | None:
        """Why nothing can be written now; None where all is well."""
        return self._files.trouble or self._bug

    async def append(
        self,
        kind: Kind,
        id: MessageId,
        meta: bytes = b"",
        body: bytes = b"",
        *,
        landed: Callable[[Place], None] | None = None,
    ) -> None:
        """Write a record; for an ACCEPT, return once it is synced (the commit point).

        `landed` is called with the body's place before this returns, and even where the caller
        was cancelled. Raises SpoolError.
        """
        checksum = zlib.crc32(body)
        head = records.encode_head(self._files.mark, kind, id, meta, len(body), checksum)
        entry = Entry(kind, id, head, body, checksum, landed)
        if self.trouble and entry.is_accept:
            raise type(self.trouble)(str(self.trouble))
        await self._pass(entry)

    async def sync(self) -> None:
        """Have all on the platter that was called for before this call. Raises SpoolError."""
        if self.trouble or self._queue or self._has_turn or not self._files.is_synced:
            await self._pass(Entry(None, MessageId("")))

    async def rotate(self) -> None:
        """Sync and close the live segment; the next record opens another. Raises SpoolError."""
        await self._pass(Entry(None, MessageId(""), seals=True))

    async def close(self) -> None:
        """Sync what waits, and close. Raises SpoolError where that could not be done."""
        try:
            if self._thread:  # else nothing was ever written
                await self.rotate()
        finally:
            await asyncio.to_thread(self.let_go)

    def let_go(self) -> None:
        """End the thread, whatever was not written."""
        if self._thread:
            self._jobs.put(None)
            self._thread.join()

    async def _pass(self, entry: Entry) -> None:
        loop = asyncio.get_running_loop()
        entry.waiter = loop.create_future()
        self._queue.append(entry)
        if not self._has_turn:
            # Not at once: all that comes in this round of the loop shares the turn. With twenty
            # senders that is a fifth of the CPU of a message here.
            self._has_turn = True
            loop.call_soon(self._start_turn, loop)
        await entry.waiter

    def _start_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have written what waits: here and now, or by the thread, which then says so."""
        turn, self._queue = Turn(self._queue), []
        if self._writes_here(turn) and self._write_here(turn):
            self._end_turn(turn)
            return
        self._has_turn = True
        if self._thread is None:
            # A daemon: a program that fails before it closes the spool must still end.
            self._thread = Thread(target=self._work, name="spool-journal", daemon=True)
            self._thread.start()
        self._jobs.put((turn, self._end_turn, loop))

    def _writes_here(self, turn: Turn) -> bool:
        """Whether the event loop appends a turn itself.

        A few hundred octets into the kernel's cache cost 4 us; to hand them to the thread and
        hear of it again cost 90 us of CPU, for every message that is not in a crowd.
        """
        return (
            not turn.is_synced
            and turn.size <= _HERE
            and self._files.is_open
            and time.monotonic() >= self._here_again_at
        )

    def _write_here(self, turn: Turn) -> bool:
        """Append a turn; False, and the reason noted in it, where the thread has to mend that."""
        started_at = time.monotonic()
        self._try(turn, self._files.append)
        if turn.failure:
            return False
        took = time.monotonic() - started_at
        if took > _SLOW:
            self._here_again_at = started_at + _PAUSE * took
        return True

    def _end_turn(self, turn: Turn) -> None:
        """Say what became of a turn, and start the next with all that has come meanwhile."""
        if not turn.bug:
            self._try(turn, self._publish)
        if turn.bug:
            log.critical("the journal's writer failed", exc_info=turn.bug)
            self._bug = SpoolError(f"the journal's writer failed: {turn.bug!r}")
            self._answer(turn.entries, self._bug)
        else:
            self._bug = None
        self._has_turn = False
        if self._queue:
            self._start_turn(asyncio.get_running_loop())

    def _publish(self, turn: Turn) -> None:
        at = turn.at
        for entry in turn.written:
            at += len(entry.head)
            if entry.kind is not None and turn.segment:
                turn.segment.note(entry.kind, entry.id)
                if entry.landed:
                    entry.landed(Place(turn.segment.number, at, len(entry.body), entry.checksum))
            at += len(entry.body)
        self._answer(turn.written, None)
        if turn.refused:
            self._answer(turn.refused, turn.error)

    def _answer(self, entries: Iterable[Entry], error: SpoolError | None) -> None:
        for entry in entries:
            if entry.waiter is None or entry.waiter.done():
                continue
            if error:
                entry.waiter.set_exception(error)
            else:
                entry.waiter.set_result(None)

    def _work(self) -> None:
        """The thread. Whatever can be done by the loop is not done here.

        Between its calls of the kernel it waits for the interpreter's lock, and all who wait for
        a sync wait with it.
        """
        while job := self._jobs.get():
            turn, ended, loop = job
            if not turn.failure:
                self._try(turn, self._files.append)
            if turn.failure:
                self._try(turn, self._files.start_over)
            try:
                loop.call_soon_threadsafe(ended, turn)
            except RuntimeError:  # the loop has ended, and all who waited with it
                self._has_turn = False

    def _try(self, turn: Turn, work: Callable[[Turn], None]) -> None:
        """Do it, and note in the turn what was in the way: nobody may be left waiting for ever."""
        try:
            work(turn)
        except OSError as error:
            turn.failure = error
        except BaseException as bug:  # noqa: BLE001  # logged when the turn ends
            self._files.abandon()
            turn.bug = bug
