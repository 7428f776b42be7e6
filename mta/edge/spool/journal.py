"""The journal: segments that are only ever appended to, and the group commit.

Whatever is to be written waits in a queue for the one writer's thread, which takes all that
waits, appends it in one call and, if there is an ACCEPT among it, syncs once. Whoever comes while
that runs is in the next turn: so every sync that acknowledges a message started after the
message's own append was complete, and a lone message waits for nobody.

RESULT, DONE and VOID return once they are written, and ride with the next sync.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mta.model.envelope import MessageId
from mta.model.trouble import SpoolError

from mta.edge.spool import records
from mta.edge.spool.disk import Disk, trouble_of, write_whole
from mta.edge.spool.records import HEADER_SIZE, Kind

_ACCEPTS = (Kind.ACCEPT, Kind.LARGE)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message's content stands in the journal, and its checksum."""

    segment: int
    at: int
    size: int
    checksum: int


@dataclass(slots=True, eq=False)
class Segment:
    """One file of the journal, and whose records are in it.

    `accepted`, `recorded` and `settled` name the messages with an ACCEPT, a RESULT, a DONE here.
    """

    number: int
    path: Path
    opened_at: float
    accepted: set[MessageId] = field(default_factory=set)
    recorded: set[MessageId] = field(default_factory=set)
    settled: set[MessageId] = field(default_factory=set)

    def note(self, kind: Kind, id: MessageId) -> None:
        """A record of this kind is here."""
        if kind in _ACCEPTS:
            self.accepted.add(id)
        elif kind is Kind.RESULT:
            self.recorded.add(id)
        elif kind is Kind.DONE:
            self.settled.add(id)


@dataclass(slots=True, eq=False)
class _Entry:
    """What waits to be written, and who waits for it. Without a kind it only asks for a sync."""

    kind: Kind | None
    id: MessageId
    head: bytes
    body: bytes
    landed: Callable[[Place], None]
    waiter: "asyncio.Future[None] | None" = None

    @property
    def is_accept(self) -> bool:
        return self.kind in _ACCEPTS


@dataclass(slots=True, eq=False)
class _Live:
    """The segment that is written now. Up to `end` it is as it should be."""

    segment: Segment
    file: int
    end: int


_Written = list[tuple[_Entry, Segment, int]]  # the last: where the body stands


@dataclass(frozen=True, slots=True)
class _Turn:
    """What became of one turn of the writer."""

    written: _Written
    refused: list[_Entry]
    error: SpoolError | None


def segment_path(folder: Path, number: int) -> Path:
    """The name of a segment."""
    return folder / f"{number:08}.seg"


class Journal:
    """Appends records, and knows what each segment holds.

    `segments` are the files that are there, oldest first. `trouble` is why nothing can be
    written now; None where all is well.
    """

    def __init__(
        self,
        folder: Path,
        *,
        disk: Disk,
        clock: Callable[[], float],
        mark: bytes,
        segments: Iterable[Segment] = (),
        segment_size: int,
    ) -> None:
        self.segments = {segment.number: segment for segment in segments}
        self.trouble: SpoolError | None = None
        self._folder = folder
        self._disk = disk
        self._clock = clock
        self._mark = mark
        self._segment_size = segment_size
        self._next_number = max(self.segments, default=0) + 1
        self._queue: list[_Entry] = []
        self._writing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "spool-journal")
        # The writer's thread alone touches these:
        self._live: _Live | None = None
        self._unsynced: list[_Entry] = []  # written or refused since the last good sync

    def path(self, number: int) -> Path:
        """Where a segment is, or was."""
        return segment_path(self._folder, number)

    @property
    def live(self) -> Segment | None:
        """The segment that is being written."""
        return self._live.segment if self._live else None

    async def append(
        self,
        kind: Kind,
        id: MessageId,
        meta: bytes = b"",
        body: bytes = b"",
        *,
        landed: Callable[[Place], None] = lambda place: None,
    ) -> None:
        """Write a record; for an ACCEPT, return once it is synced (the commit point).

        `landed` is called with the body's place before this returns, and even where the caller
        was cancelled. Raises SpoolError.
        """
        if self.trouble and kind in _ACCEPTS:
            raise type(self.trouble)(str(self.trouble))
        head = records.encode(self._mark, kind, id, meta, body)
        await self._pass(_Entry(kind, id, head, body, landed))

    async def sync(self) -> None:
        """Have all on the platter that was called for before this call. Raises SpoolError."""
        if self.trouble is None and self._is_synced:
            return
        await self._pass(_Entry(None, MessageId(""), b"", b"", lambda place: None))

    async def rotate(self) -> None:
        """Sync and close the live segment; the next record opens another. Raises SpoolError."""
        await self.sync()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._seal)

    async def close(self) -> None:
        """Sync what waits, and close. Raises SpoolError where that could not be done."""
        try:
            await self.sync()
        finally:
            self._thread.submit(self._seal)
            self._thread.shutdown()

    @property
    def _is_synced(self) -> bool:
        return not (self._unsynced or self._queue or self._writing)

    async def _pass(self, entry: _Entry) -> None:
        loop = asyncio.get_running_loop()
        entry.waiter = loop.create_future()
        self._queue.append(entry)
        if self._writing is None:
            self._writing = loop.create_task(self._write_queue(), name="spool journal")
        await entry.waiter

    async def _write_queue(self) -> None:
        """Turn after turn, until nothing waits."""
        loop = asyncio.get_running_loop()
        entries: list[_Entry] = []
        try:
            while self._queue:
                entries, self._queue = self._queue, []
                turn = await loop.run_in_executor(self._thread, self._write_turn, entries)
                self._publish(turn)
        except BaseException as error:
            # A bug, or the end of the loop: nobody may be left waiting for ever.
            self.trouble = SpoolError(f"the journal's writer ended: {error!r}")
            self._answer(entries + self._queue, self.trouble)
            self._queue = []
            raise
        finally:
            self._writing = None

    def _publish(self, turn: _Turn) -> None:
        for entry, segment, body_at in turn.written:
            if entry.kind:
                segment.note(entry.kind, entry.id)
            checksum = records.body_checksum(entry.head) if entry.is_accept else 0
            entry.landed(Place(segment.number, body_at, len(entry.body), checksum))
        self._answer((entry for entry, _, _ in turn.written), None)
        self._answer(turn.refused, turn.error)

    def _answer(self, entries: Iterable[_Entry], error: SpoolError | None) -> None:
        for entry in entries:
            if entry.waiter is None or entry.waiter.done():
                continue
            if error:
                entry.waiter.set_exception(error)
            else:
                entry.waiter.set_result(None)

    # From here on all runs in the writer's thread.

    def _write_turn(self, entries: list[_Entry]) -> _Turn:
        try:
            written = self._write(entries)
        except OSError as error:
            return self._start_over(entries, error)
        self._say_trouble(None)
        return _Turn(written, [], None)

    def _write(self, entries: list[_Entry]) -> _Written:
        """Append all of it to the live segment or to a new one, and sync where that is due."""
        if self._live and self._live.end >= self._segment_size:
            self._sync(self._live)
            self._seal()
        carried = [] if self._live else self._unsynced
        live = self._live = self._live or self._opened()
        written, end = self._append(live, carried + entries)
        if carried or any(entry.is_accept or entry.kind is None for entry in entries):
            self._disk.sync(live.file)
            self._unsynced = []
        else:
            self._unsynced = self._unsynced + entries
        live.end = end
        return written

    def _append(self, live: _Live, entries: list[_Entry]) -> tuple[_Written, int]:
        """Write it all; gives what stands where, and where it ends."""
        write_whole(
            self._disk, live.file, [part for entry in entries for part in (entry.head, entry.body)]
        )
        written: _Written = []
        at = live.end
        for entry in entries:
            at += len(entry.head)
            written.append((entry, live.segment, at))
            at += len(entry.body)
        return written, at

    def _start_over(self, entries: list[_Entry], error: OSError) -> _Turn:
        """After a failed write or sync: refuse what came to be accepted, save the rest.

        The segment is not touched again: a torn record may stand at its end, and after a failed
        sync the kernel may have dropped the pages, so that another sync would lie. Everything
        since the last good sync is written anew in another segment. The refused get a VOID
        there, because their client will send them again: their ACCEPT may be on the platter.
        """
        if self.trouble is None:
            log.warning("starting a new journal segment: %s", error)
        refused = [entry for entry in entries if entry.is_accept]
        asked = [entry for entry in entries if entry.kind is None]
        rest = [entry for entry in entries if entry.kind and not entry.is_accept]
        self._unsynced = [*self._unsynced, *rest, *map(self._void, refused)]
        self._seal()
        try:
            written = self._write(asked)
        except OSError as second:
            self._seal()
            trouble = trouble_of(second, "the journal cannot be written")
            self._say_trouble(trouble)
            return _Turn([], entries, trouble)
        self._say_trouble(None)
        return _Turn(written, refused, trouble_of(error, "the message could not be written"))

    def _say_trouble(self, trouble: SpoolError | None) -> None:
        """Whether the journal can be written; said when it changes, not at every attempt."""
        if trouble and not self.trouble:
            log.error("%s; no mail is taken until it can", trouble)
        elif self.trouble and not trouble:
            log.warning("the journal can be written again")
        self.trouble = trouble

    def _void(self, entry: _Entry) -> _Entry:
        head = records.encode(self._mark, Kind.VOID, entry.id)
        return _Entry(Kind.VOID, entry.id, head, b"", lambda place: None)

    def _opened(self) -> _Live:
        """A new segment, whose name is on the platter."""
        number, self._next_number = self._next_number, self._next_number + 1
        path = self.path(number)
        file = self._disk.create(path)
        try:
            with suppress(OSError):  # it is quicker with, and works without
                self._disk.preallocate(file, self._segment_size)
            write_whole(self._disk, file, [records.header(self._mark)])
            self._disk.sync_folder(self._folder)
        except OSError:
            with suppress(OSError):
                self._disk.close(file)
            with suppress(OSError):
                self._disk.unlink(path)
            raise
        segment = self.segments[number] = Segment(number, path, self._clock())
        return _Live(segment, file, HEADER_SIZE)

    def _sync(self, live: _Live) -> None:
        if self._unsynced:
            self._disk.sync(live.file)
            self._unsynced = []

    def _seal(self) -> None:
        """Close the live segment, cut to what is known to be good in it."""
        live, self._live = self._live, None
        if live:
            with suppress(OSError):
                self._disk.truncate(live.file, live.end)
            with suppress(OSError):
                self._disk.close(live.file)
