"""The journal's files: turns of records appended to the live segment, and what a failure asks for.

All of it blocks, and is for one caller at a time: the journal's thread while a turn is under
way, the event loop while none is.
"""

import logging
from asyncio import Future
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mta.model.envelope import MessageId
from mta.model.trouble import SpoolError

from mta.edge.spool import records
from mta.edge.spool.disk import Disk, trouble_of, write_whole
from mta.edge.spool.records import HEADER_SIZE, Kind

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
        if kind is Kind.ACCEPT or kind is Kind.LARGE:
            self.accepted.add(id)
        elif kind is Kind.RESULT:
            self.recorded.add(id)
        elif kind is Kind.DONE:
            self.settled.add(id)


@dataclass(slots=True, eq=False)
class Entry:
    """What waits to be written, and who waits for it.

    Without a kind it only asks for a sync, and to close the segment if it `seals`. `checksum` is
    that of the body. `landed` is called with the body's place.
    """

    kind: Kind | None
    id: MessageId
    head: bytes = b""
    body: bytes = b""
    checksum: int = 0
    landed: Callable[[Place], None] | None = None
    seals: bool = False
    waiter: "Future[None] | None" = None

    @property
    def is_accept(self) -> bool:
        """Whether it makes a message ours."""
        return self.kind is Kind.ACCEPT or self.kind is Kind.LARGE


@dataclass(slots=True, eq=False)
class Turn:
    """What is written together, and what became of it.

    When it has been written, `written` stands in `segment` from `at` on, and `refused` could not
    be written, for the reason `error`. `failure` is what came of a first try, and `bug` says
    that nothing is known of it.
    """

    entries: list[Entry]
    buffers: list[bytes] = field(default_factory=list)
    size: int = 0  # in octets
    is_synced: bool = False
    seals: bool = False
    segment: Segment | None = None
    at: int = 0
    written: list[Entry] = field(default_factory=list)
    refused: list[Entry] = field(default_factory=list)
    error: SpoolError | None = None
    failure: OSError | None = None
    bug: BaseException | None = None

    def __post_init__(self) -> None:
        """Lay out its octets now: the thread that writes them is to hold nobody up."""
        self.written = self.entries
        for entry in self.entries:
            if entry.kind is None:
                self.is_synced = True
                self.seals = self.seals or entry.seals
                continue
            self.buffers.append(entry.head)
            self.size += len(entry.head) + len(entry.body)
            if entry.is_accept:
                self.is_synced = True
                self.buffers.append(entry.body)


@dataclass(slots=True, eq=False)
class _Live:
    """The segment that is written now. Up to `end` it is as it should be."""

    segment: Segment
    file: int
    end: int


def segment_path(folder: Path, number: int) -> Path:
    """The name of a segment."""
    return folder / f"{number:08}.seg"


class Segments:
    """The files that are there, oldest first, and the one that is being written.

    `trouble` is why nothing can be written now; None where all is well.
    """

    def __init__(
        self,
        folder: Path,
        *,
        disk: Disk,
        clock: Callable[[], float],
        mark: bytes,
        found: dict[int, Segment],
        segment_size: int,
    ) -> None:
        self.there = found
        self.trouble: SpoolError | None = None
        self._folder = folder
        self._disk = disk
        self._clock = clock
        self._mark = mark
        self._segment_size = segment_size
        self._next_number = max(found, default=0) + 1
        self._live: _Live | None = None
        self._unsynced: list[Entry] = []  # written or refused since the last good sync

    @property
    def live(self) -> Segment | None:
        """The segment that is being written."""
        return self._live.segment if self._live else None

    @property
    def is_open(self) -> bool:
        """Whether a turn is a plain append to the live segment."""
        live = self._live
        return live is not None and live.end < self._segment_size and self.trouble is None

    @property
    def is_synced(self) -> bool:
        """Whether all that was written is on the platter."""
        return not self._unsynced

    def append(self, turn: Turn) -> None:
        """Write a turn, and sync if it asks for that.

        Raises OSError: it has to be given to `start_over` then, before anything else is done.
        """
        if self._live and self._live.end >= self._segment_size:
            self._sync(self._live)
            self._seal()
        if self._live is None:
            self._begin(turn)
        else:
            self._append(self._live, turn)
        if self.trouble:
            self._say_trouble(None)
        if turn.seals:
            self._seal()

    def start_over(self, turn: Turn) -> None:
        """After a write or sync that failed: refuse what came to be accepted, save the rest.

        The segment is not touched again: a torn record may stand at its end, and after a failed
        sync the kernel may have dropped the pages, so that another sync would lie. Everything
        since the last good sync is written anew in another segment. The refused get a VOID
        there, because their client will send them again: their ACCEPT may be on the platter.
        """
        error = turn.failure
        assert error is not None, "there is a reason to start over"
        if self.trouble is None:
            log.warning("starting a new journal segment: %s", error)
        refused = [entry for entry in turn.entries if entry.is_accept]
        rest = [entry for entry in turn.entries if entry.kind and not entry.is_accept]
        self._unsynced = [*self._unsynced, *rest, *map(self._void, refused)]
        self._seal()
        anew = Turn([entry for entry in turn.entries if entry.kind is None])
        try:
            self._begin(anew)
        except OSError as second:
            self._seal()
            turn.written, turn.refused = [], turn.entries
            turn.error = trouble_of(second, "the journal cannot be written")
            self._say_trouble(turn.error)
            return
        self._say_trouble(None)
        turn.segment, turn.at, turn.written = anew.segment, anew.at, anew.written
        turn.refused, turn.error = refused, trouble_of(error, "the message could not be written")

    def abandon(self) -> None:
        """Never touch the live segment again: after a bug, nobody knows what is in it."""
        self._live = None

    def _append(self, live: _Live, turn: Turn) -> None:
        turn.segment, turn.at = live.segment, live.end
        if turn.size:
            write_whole(self._disk, live.file, turn.buffers, turn.size)
        if turn.is_synced:
            if turn.size or self._unsynced:
                self._disk.sync(live.file)
            self._unsynced = []
        else:
            self._unsynced += turn.entries
        live.end += turn.size

    def _begin(self, turn: Turn) -> None:
        """Write a turn to a new segment, behind what is known of no good sync."""
        if not (turn.size or self._unsynced):
            return
        carried = self._unsynced
        both = Turn(carried + turn.entries)
        both.is_synced = both.is_synced or bool(carried)
        live = self._live = self._opened()
        try:
            self._unsynced = []
            self._append(live, both)
        except BaseException:
            self._unsynced = carried
            raise
        turn.segment, turn.at, turn.written = both.segment, both.at, both.entries

    def _say_trouble(self, trouble: SpoolError | None) -> None:
        """Whether the journal can be written; said when it changes, not at every attempt."""
        if trouble and not self.trouble:
            log.error("%s; no mail is taken until it can", trouble)
        elif self.trouble and not trouble:
            log.warning("the journal can be written again")
        self.trouble = trouble

    def _void(self, entry: Entry) -> Entry:
        return Entry(Kind.VOID, entry.id, records.encode(self._mark, Kind.VOID, entry.id))

    def _opened(self) -> _Live:
        """A new segment, whose name is on the platter."""
        number, self._next_number = self._next_number, self._next_number + 1
        path = segment_path(self._folder, number)
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
        segment = self.there[number] = Segment(number, path, self._clock())
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
