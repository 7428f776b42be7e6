"""The journal's files: turns of records appended to the live segment, and what a failure asks for.

All of it blocks, and is for one caller at a time: the journal's thread while a turn is under
way, the event loop while none is.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mta.model.trouble import SpoolError

from mta.edge.spool.disk import Disk, trouble_of, write_whole
from mta.edge.spool.journal import records
from mta.edge.spool.journal.records import HEADER_SIZE, Kind
from mta.edge.spool.journal.turns import Entry, Segment, Turn

log = logging.getLogger(__name__)


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

    `trouble` is why nothing can be written now; None where all is well. `mark` stands in front
    of each record. `segment_size`, in octets: a segment that has as many is full.
    """

    def __init__(
        self,
        folder: Path,
        *,
        disk: Disk,
        clock: Callable[[], float],
        mark: bytes,
        found: Iterable[Segment] = (),
        segment_size: int,
    ) -> None:
        self.mark = mark
        self.there = {segment.number: segment for segment in found}
        self.trouble: SpoolError | None = None
        self._folder = folder
        self._disk = disk
        self._clock = clock
        self._segment_size = segment_size
        self._next_number = max(self.there, default=0) + 1
        self._live: _Live | None = None
        self._unsynced: list[Entry] = []  # written or refused since the last good sync

    def path(self, number: int) -> Path:
        """Where a segment is, or was."""
        return segment_path(self._folder, number)

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
        return Entry(Kind.VOID, entry.id, records.encode(self.mark, Kind.VOID, entry.id))

    def _opened(self) -> _Live:
        """A new segment, whose name is on the platter."""
        number, self._next_number = self._next_number, self._next_number + 1
        path = self.path(number)
        file = self._disk.create(path)
        try:
            with suppress(OSError):  # it is quicker with, and works without
                self._disk.preallocate(file, self._segment_size)
            write_whole(self._disk, file, [records.header(self.mark)])
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
