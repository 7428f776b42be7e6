"""The journal's files: turns of records appended to the live segment, and what a failure asks for.

`write`, `sync` and `start_over` block. Turns are written one at a time; several syncs may be
under way, each by a descriptor of its own, while the next turn is written. A turn that begins or
seals a segment, or starts over, is alone. The rest is for the event loop.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mta.model.trouble import SpoolError

from mta.edge.spool.disk import Disk, trouble_of, write_whole
from mta.edge.spool.journal import records
from mta.edge.spool.journal.records import HEADER_SIZE, Kind
from mta.edge.spool.journal.turns import Entry, Segment, Turn

LANES = 4

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Live:
    """The segment that is written now, up to `end`, and a descriptor of it for each lane.

    The kernel tells an error of a file once to each descriptor: two syncs by the same one, and
    the wrong one might hear of it.
    """

    segment: Segment
    files: list[int]
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
        self._unsynced: deque[Turn] = deque()  # known of no good sync, in the order of appends

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

    def take(self, turn: Turn) -> None:
        """A turn is to be written next."""
        turn.begins = not self.is_open
        if turn.size:
            self._unsynced.append(turn)

    def note_sync(self, turn: Turn) -> None:
        """This turn and all before it are on the platter."""
        while self._unsynced and self._unsynced[0].number <= turn.number:
            self._unsynced.popleft()

    def write(self, turn: Turn) -> None:
        """Append a turn.

        Raises OSError: when no other is under way, it has to be given to `start_over`.
        """
        if turn.begins or self._live is None:
            self._begin(turn)
        else:
            self._append(self._live, turn)

    def sync(self, turn: Turn, lane: int = 0) -> None:
        """Sync what was written, if the turn asks for that. Raises OSError, as `write`."""
        if turn.is_synced and self._unsynced and self._live:
            started_at = time.monotonic()
            self._disk.sync(self._live.files[lane])
            turn.took = time.monotonic() - started_at
        if turn.seals:
            self._close(self._live)
            self._live = None
        if self.trouble:
            self._say_trouble(None)

    def start_over(self, turn: Turn) -> None:
        """After a write or sync that failed: refuse what came to be accepted, save the rest.

        The segment is not written to again: a torn record may stand at its end, and after a failed
        sync the kernel may have dropped the pages, so that another sync would lie. Everything
        since the last good sync is written anew in another segment. The refused get a VOID
        there, because their client will send them again: their ACCEPT may be on the platter.
        """
        error, turn.failure = turn.failure, None
        assert error is not None, "there is a reason to start over"
        if self.trouble is None:
            log.warning("starting a new journal segment: %s", error)
        refused = [entry for entry in turn.entries if entry.is_accept]
        left, self._live = self._live, None
        if left and turn.segment is left.segment and left.end <= turn.at + turn.size:
            left.end = turn.at  # nothing stands behind it that somebody was told of
        saved = Turn([self._saved(entry) for entry in self._unsynced_entries()])
        self._unsynced = deque([saved] if saved.size else [])
        anew = Turn([entry for entry in turn.entries if entry.kind is None])
        try:
            self._begin(anew)
            self.sync(anew)
            self._unsynced.clear()
            turn.segment, turn.at, turn.written = anew.segment, anew.at, anew.written
            turn.error = trouble_of(error, "the message could not be written")
            turn.refused = refused
            self._say_trouble(None)
        except OSError as second:
            self._close(self._live)
            self._live = None
            turn.written, turn.refused = [], turn.entries
            turn.error = trouble_of(second, "the journal cannot be written")
            self._say_trouble(turn.error)
        self._close(left)

    def abandon(self, turns: Iterable[Turn]) -> None:
        """Never touch the live segment again: after a bug, nobody knows what is in it."""
        self._live = None
        lost = set(turns)
        self._unsynced = deque(turn for turn in self._unsynced if turn not in lost)

    def _append(self, live: _Live, turn: Turn) -> None:
        turn.segment, turn.at = live.segment, live.end
        if turn.size:
            write_whole(self._disk, live.files[0], turn.buffers, turn.size)
        live.end += turn.size

    def _begin(self, turn: Turn) -> None:
        """Write a turn to a new segment, behind what is known of no good sync."""
        if self._live:
            self._finish(self._live, turn)
        carried = [entry for entry in self._unsynced_entries(turn) if not entry.is_accept]
        if not (turn.size or carried):
            return
        both = Turn(carried + turn.entries)
        self._live = self._opened()
        # After it is known as the live one: retirement deletes what is closed and not needed.
        self.there[self._live.segment.number] = self._live.segment
        self._append(self._live, both)
        turn.segment, turn.at, turn.written = both.segment, both.at, both.entries
        turn.is_synced = both.is_synced or bool(carried)

    def _finish(self, live: _Live, turn: Turn) -> None:
        """Sync a full segment and close it, before this turn is written to another."""
        if any(other is not turn for other in self._unsynced):
            self._disk.sync(live.files[0])
        self._unsynced = deque([turn] if turn.size else [])
        self._close(live)
        self._live = None

    def _unsynced_entries(self, but: Turn | None = None) -> list[Entry]:
        return [
            entry
            for turn in self._unsynced
            if turn is not but
            for entry in turn.entries
            if entry.kind is not None
        ]

    def _say_trouble(self, trouble: SpoolError | None) -> None:
        """Whether the journal can be written; said when it changes, not at every attempt."""
        if trouble and not self.trouble:
            log.error("%s; no mail is taken until it can", trouble)
        elif self.trouble and not trouble:
            log.warning("the journal can be written again")
        self.trouble = trouble

    def _saved(self, entry: Entry) -> Entry:
        """What is to be written anew in the place of an entry."""
        if not entry.is_accept:
            return entry
        return Entry(Kind.VOID, entry.id, records.encode(self.mark, Kind.VOID, entry.id))

    def _opened(self) -> _Live:
        """A new segment, whose name is on the platter."""
        number, self._next_number = self._next_number, self._next_number + 1
        path = self.path(number)
        live = _Live(Segment(number, path, self._clock()), [self._disk.create(path)], HEADER_SIZE)
        try:
            with suppress(OSError):  # it is quicker with, and works without
                self._disk.preallocate(live.files[0], self._segment_size)
            write_whole(self._disk, live.files[0], [records.header(self.mark)])
            for _ in range(1, LANES):
                live.files.append(self._disk.reopen(path))
            self._disk.sync_folder(self._folder)
        except OSError:
            for file in live.files:
                with suppress(OSError):
                    self._disk.close(file)
            with suppress(OSError):
                self._disk.unlink(path)
            raise
        return live

    def _close(self, live: _Live | None) -> None:
        """Close a segment, cut to what is known to be good in it."""
        if live is None:
            return
        with suppress(OSError):
            self._disk.truncate(live.files[0], live.end)
        for file in live.files:
            with suppress(OSError):
                self._disk.close(file)
