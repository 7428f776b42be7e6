"""The group commit: what waits is appended in one call, and synced once.

Whatever is to be written waits in a queue. All that came in one round of the event loop is a
turn: a thread appends it and, if there is an ACCEPT among it, syncs. Whoever comes while that
runs is in the next turn: so every sync that acknowledges a message started after the message's
own append was complete, and a lone message waits for nobody.

On a slow disk the next turn waits for the append of the one before alone, and their syncs
overlap. They end in the order of their appends: see `_settle`.

RESULT, DONE and VOID return once they are written, and ride with the next sync. While nothing is
being written, the event loop writes them itself: see `_writes_here`.
"""

import asyncio
import itertools
import logging
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from mta.model.envelope import MessageId
from mta.model.trouble import SpoolError

from mta.edge.spool.journal import records
from mta.edge.spool.journal.lanes import Lanes, Pace, tell
from mta.edge.spool.journal.records import Kind
from mta.edge.spool.journal.segments import LANES, Segments
from mta.edge.spool.journal.turns import Entry, Place, Segment, Turn

# Seconds of a sync past which another may start beside it. At 5 ms a sync four clients at once send
# 1.5 times as much so, at 2 ms 1.2 times, at 1 ms or less no more, for a tenth more CPU.
PATIENCE = 0.001
_HERE = 1 << 16  # octets that the event loop writes itself at most
_SLOW = 0.005  # seconds of a write after which it leaves them to the thread,
_PAUSE = 100  # for so many times as long: a disk that stalls takes 1 % of the loop at most

log = logging.getLogger(__name__)


class Journal:
    """Appends records, and knows what each segment holds.

    Where syncs take longer than `patience`, in seconds, several are under way at once.
    """

    def __init__(self, files: Segments, *, patience: float = PATIENCE) -> None:
        self._files = files
        self._patience = patience
        self._bug: SpoolError | None = None
        self._queue: list[Entry] = []
        self._is_called = False  # a turn starts at the end of this round of the loop
        self._seals = False  # what waits is to seal the segment
        self._under_way: deque[Turn] = deque()  # with the lanes, in the order of their appends
        self._numbers = itertools.count(1)
        self._lanes = Lanes(self._work, self._end_turn)
        self._pace = Pace()
        self._width = 1  # turns that may be under way
        self._here_again_at = 0.0

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
        if self.trouble or self._queue or self._under_way or not self._files.is_synced:
            await self._pass(Entry(None, MessageId("")))

    async def rotate(self) -> None:
        """Sync and close the live segment; the next record opens another. Raises SpoolError."""
        self._seals = True
        await self._pass(Entry(None, MessageId(""), seals=True))

    async def close(self) -> None:
        """Sync what waits, and close. Raises SpoolError where that could not be done."""
        try:
            if self._lanes.are_there:  # else nothing was ever written
                await self.rotate()
        finally:
            await asyncio.to_thread(self.let_go)

    def let_go(self) -> None:
        """End the threads, whatever was not written."""
        self._lanes.end()

    async def _pass(self, entry: Entry) -> None:
        entry.waiter = asyncio.get_running_loop().create_future()
        self._queue.append(entry)
        if len(self._under_way) < self._width:
            self._call_turn()
        await entry.waiter

    def _call_turn(self) -> None:
        """Have a turn start with all that comes in this round of the loop.

        Not at once: with twenty senders that is a fifth of the CPU of a message here.
        """
        if self._queue and not self._is_called:
            self._is_called = True
            asyncio.get_running_loop().call_soon(self._start_turn)

    def _start_turn(self) -> None:
        """Have written what waits, if it may be: here and now, or by a lane, which says so."""
        self._is_called = False
        if not self._queue or not self._may_start():
            return
        turn, self._queue, self._seals = Turn(self._queue, next(self._numbers)), [], False
        self._files.take(turn)
        if not self._writes_here(turn):
            self._under_way.append(turn)
            if not self._tried(turn, self._lanes.give):
                self._end_turn(turn)
        elif not self._write_here(turn):
            self._under_way.append(turn)
            self._end_turn(turn)

    def _may_start(self) -> bool:
        """Whether a turn may be written behind those that are under way."""
        return not self._under_way or (
            len(self._under_way) < self._width
            and self._files.is_open
            and not self._seals
            and all(turn.is_written for turn in self._under_way)
        )

    def _writes_here(self, turn: Turn) -> bool:
        """Whether the event loop appends a turn itself.

        A few hundred octets into the kernel's cache cost 4 us; to hand them to a thread and
        hear of it again cost 90 us of CPU, for every message that is not in a crowd.
        """
        return (
            not turn.is_synced
            and turn.size <= _HERE
            and not turn.begins
            and time.monotonic() >= self._here_again_at
        )

    def _write_here(self, turn: Turn) -> bool:
        """Append a turn and say so; False, and the reason noted in it, where that failed."""
        started_at = time.monotonic()
        if not self._tried(turn, self._files.write):
            return False
        took = time.monotonic() - started_at
        if took > _SLOW:
            self._here_again_at = started_at + _PAUSE * took
        return self._tried(turn, self._publish)

    def _work(self, turn: Turn, lane: int, loop: asyncio.AbstractEventLoop) -> None:
        """What a thread does with a turn. Whatever can be done by the loop is not done here.

        Between its calls of the kernel it waits for the interpreter's lock, and all who wait for
        a sync wait with it.
        """
        if turn.failure:
            self._tried(turn, self._files.start_over)
        elif self._tried(turn, self._files.write):
            turn.is_written = not turn.seals
            if self._queue and self._width > 1:  # who comes from now on sees that it is written
                tell(loop, self._call_turn)
            self._tried(turn, self._files.sync, lane)

    def _end_turn(self, turn: Turn) -> None:
        """A turn is over: say so to all whose turn it is, and start the next."""
        turn.is_over = True
        if turn.took:
            self._pace.note(turn.took)
            self._width = LANES if self._pace.seconds > self._patience else 1
        self._settle()
        if self._queue:
            self._start_turn()

    def _settle(self) -> None:
        """Say what became of turns, in the order of their appends.

        So a sync that fails is a failure of all that came after it, whatever their own syncs
        said.
        """
        while self._under_way and self._under_way[0].is_over:
            turn = self._under_way[0]
            if turn.failure or turn.bug or not self._tried(turn, self._publish):
                self._recover()
                return
            self._under_way.popleft()

    def _recover(self) -> None:
        """Once nothing is under way any more, start over with all that was."""
        lost = list(self._under_way)
        if not all(turn.is_over for turn in lost):
            return
        self._under_way.clear()
        if lost[0].bug:
            self._bug = SpoolError(f"the journal's writer failed: {lost[0].bug!r}")
            self._files.abandon(lost)
            for turn in lost:
                self._answer(turn.entries, self._bug)
            return
        turn = Turn([entry for turn in lost for entry in turn.entries], next(self._numbers))
        turn.failure = lost[0].failure
        if len(lost) == 1:
            turn.segment, turn.at = lost[0].segment, lost[0].at
        self._under_way.append(turn)
        self._lanes.give(turn)

    def _publish(self, turn: Turn) -> None:
        """Note where a turn stands, and tell those who wait."""
        if turn.is_synced and not turn.error:
            self._files.note_sync(turn)
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
        self._bug = None

    def _answer(self, entries: Iterable[Entry], error: SpoolError | None) -> None:
        for entry in entries:
            if entry.waiter is None or entry.waiter.done():
                continue
            if error:
                entry.waiter.set_exception(error)
            else:
                entry.waiter.set_result(None)

    def _tried(self, turn: Turn, work: Callable[..., None], *arguments: object) -> bool:
        """Do it; False where that failed, and what was in the way is noted in the turn.

        Nobody may be left waiting for ever.
        """
        try:
            work(turn, *arguments)
        except OSError as error:
            turn.failure = error
        except BaseException as bug:  # told to all who wait
            log.critical("the journal's writer failed", exc_info=bug)
            turn.bug = bug
        else:
            return True
        turn.is_written = False
        return False
