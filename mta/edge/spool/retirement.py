"""The end of segments: what still waits moves to files, and what is settled is deleted.

A segment goes when nothing in it is needed, and at the latest when it is old. docs/spool.md has
the order of effects, and why no crash between them loses anything.
"""

import asyncio
from collections.abc import Iterator, Sequence

from mta.model.envelope import Envelope, MessageId

from mta.edge.spool.contents import Contents
from mta.edge.spool.disk import Disk
from mta.edge.spool.journal.commit import Journal
from mta.edge.spool.journal.turns import Place, Segment
from mta.edge.spool.survey import Held, Survey
from mta.edge.spool.threads import Threads
from mta.edge.spool.waiting import MESSAGE, NewFile, Waiting

_BATCH = 64  # files that are open at once, between two syncs of the journal
_AT_ONCE = 3  # batches, in a thread each: one thread is left for those who read
_GLANCES = 5000  # messages that are looked at before others have their turn: about 1 ms


class Retirement:
    """Does what is due, a step at a time."""

    def __init__(
        self,
        *,
        disk: Disk,
        threads: Threads,
        journal: Journal,
        waiting: Waiting,
        contents: Contents,
        found: Survey,
        segment_age: float,
    ) -> None:
        self._disk = disk
        self._threads = threads
        self._journal = journal
        self._waiting = waiting
        self._contents = contents
        self._held = found.held
        self._settled = found.settled
        self._finished = found.finished
        self._segment_age = segment_age
        self._doubtful: dict[int, list[MessageId]] = {}  # by segment: who may still need it
        self.lock = asyncio.Lock()

    async def step(self, now: float) -> None:
        """Sync an idle journal, delete files of settled mail, retire segments.

        Raises SpoolError; nothing is lost then, and the next call tries again.
        """
        async with self.lock:
            await self._journal.sync()
            await self._delete_finished()
            live = self._journal.live
            if live and live.opened_at + self._segment_age <= now:
                await self._journal.rotate()
            # Oldest first and none left out: a segment's DONEs speak of ACCEPTs in older ones.
            for segment in list(self._journal.segments.values()):
                if segment is self._journal.live:
                    break
                is_due = segment.opened_at + self._segment_age <= now
                if not is_due and await self._is_needed(segment):
                    break
                await self._retire(segment)

    async def _is_needed(self, segment: Segment) -> bool:
        """Whether something of an unsettled message may stand in this closed segment alone.

        A message that does not need it now never will: nothing is added to a closed segment. So
        each is passed over once, however often this is asked.
        """
        doubtful = self._doubtful.get(segment.number)
        if doubtful is None:
            doubtful = [*segment.recorded, *segment.accepted]
            self._doubtful[segment.number] = doubtful
        while doubtful:
            for _ in range(min(_GLANCES, len(doubtful))):
                if self._needing(doubtful[-1], segment):
                    return True
                doubtful.pop()
            await asyncio.sleep(0)
        return False

    def _needing(self, id: MessageId, segment: Segment) -> Held | None:
        """The unsettled message that would lose something with this segment."""
        held = self._held.get(id)
        if held is None:
            return None
        if isinstance(held.home, Place):
            return held if held.home.segment == segment.number else None
        return held if held.saved is not held.envelope else None

    async def _retire(self, segment: Segment) -> None:
        """Save in files what only this segment says, then delete it.

        A crash on the way finds it in both places, and takes each id once.
        """
        while await self._is_needed(segment):
            await self._save_some(segment, self._doubtful[segment.number])
        # A DONE in this segment is all that keeps a file from counting: the file goes first.
        await self._delete_finished()
        await self._threads.on_disk("retiring a segment", self._delete, segment)
        del self._journal.segments[segment.number]
        self._doubtful.pop(segment.number, None)
        self._settled -= segment.settled

    async def _save_some(self, segment: Segment, doubtful: list[MessageId]) -> None:
        ids = dict.fromkeys(doubtful[-_AT_ONCE * _BATCH :])
        unsaved = [held for id in ids if (held := self._needing(id, segment))]
        states = [(held, held.envelope) for held in unsaved]
        # No file may be ahead of the journal, or a replay would turn it back half way.
        await self._journal.sync()
        batches = [states[at : at + _BATCH] for at in range(0, len(states), _BATCH)]
        for trouble in await asyncio.gather(*map(self._save, batches), return_exceptions=True):
            if trouble is not None:
                raise trouble
        del doubtful[-_AT_ONCE * _BATCH :]

    async def _save(self, states: Sequence[tuple[Held, Envelope]]) -> None:
        try:
            await self._threads.on_disk("retiring a segment", self._write_files, states)
        finally:  # some may have moved before the trouble
            for held, _ in states:
                self._note_move(held)

    def _write_files(self, states: Sequence[tuple[Held, Envelope]]) -> None:
        """Have each message or its latest state in files, whose names are not synced yet."""
        for place in self._waiting.put(self._files_for(states)):
            held, envelope = states[place]
            if isinstance(held.home, Place):
                held.home = MESSAGE
            held.saved = envelope

    def _files_for(self, states: Sequence[tuple[Held, Envelope]]) -> Iterator[NewFile]:
        for held, envelope in states:
            home = held.home
            if isinstance(home, Place):
                # A damaged content keeps its wrong checksum: whoever reads it will notice.
                content = self._disk.read(self._journal.path(home.segment), home.at, home.size)
                yield self._waiting.message(envelope, content, home.checksum)
            else:
                yield self._waiting.log(envelope)

    def _note_move(self, held: Held) -> None:
        if held.saved is None:
            return
        id = held.envelope.id
        if self._held.get(id) is held:
            self._contents.drop(id)
        else:  # settled while it moved
            self._finished.add(id)

    async def _delete_finished(self) -> None:
        """Delete the files of settled mail, after their DONEs are synced."""
        finished = list(self._finished)
        if finished:
            await self._journal.sync()
            await self._threads.on_disk("deleting settled mail", self._delete_files, finished)
            self._finished.difference_update(finished)

    def _delete_files(self, ids: Sequence[MessageId]) -> None:
        for id in ids:
            self._waiting.remove(id)
        self._waiting.sync()

    def _delete(self, segment: Segment) -> None:
        self._waiting.sync()
        self._disk.unlink(segment.path)
        # Before the next one goes: its DONEs are about the ACCEPTs in this one.
        self._disk.sync_folder(segment.path.parent)
