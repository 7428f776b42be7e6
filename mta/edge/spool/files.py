"""The spool on files: keeps the promises of the port `Spool` with a journal and a folder.

docs/spool.md has the layout, the states of a message and the order of effects.
"""

import asyncio
import re
import secrets
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from mta.model.envelope import Envelope, MessageId, Recipient, State
from mta.model.trouble import SpoolError

from mta.edge.spool.contents import Contents
from mta.edge.spool.disk import Disk, trouble_of
from mta.edge.spool.folder import recovered
from mta.edge.spool.gauge import MIB, Gauge, Watermarks
from mta.edge.spool.journal.commit import PATIENCE, Journal
from mta.edge.spool.journal.records import MARK_SIZE, Kind
from mta.edge.spool.journal.segments import Segments
from mta.edge.spool.journal.turns import Place
from mta.edge.spool.kept import Keep, Kept
from mta.edge.spool.lines import changes_line, envelope_line
from mta.edge.spool.retirement import Retirement
from mta.edge.spool.survey import JOURNAL, WAITING, Held, Survey
from mta.edge.spool.threads import Threads
from mta.edge.spool.waiting import LARGE, Waiting

SOON = 10.0  # seconds: the content of what is due later is not kept in memory
_ID = re.compile("[a-z0-9]{1,100}")  # it names files


class FileSpool:
    """Keeps every message in one folder. Made by `open`.

    `retire_due` wants to be called about once a second, `sweep` now and then.
    """

    def __init__(
        self,
        *,
        disk: Disk,
        lock: int,
        journal: Journal,
        waiting: Waiting,
        kept: Kept,
        gauge: Gauge,
        found: Survey,
        clock: Callable[[], float],
        segment_age: float,
        large_size: int,
        cache_size: int,
    ) -> None:
        self._disk = disk
        self._lock = lock
        self._journal = journal
        self._waiting = waiting
        self._kept = kept
        self._gauge = gauge
        self._clock = clock
        self._large_size = large_size
        self._contents = Contents(cache_size)
        self._held = found.held
        self._settled = found.settled
        self._finished = found.finished
        self._arriving: set[MessageId] = set()
        self._threads = Threads()
        self._read_together = self._threads.together(self._read)
        self._retirement = Retirement(
            disk=disk,
            threads=self._threads,
            journal=journal,
            waiting=waiting,
            contents=self._contents,
            found=found,
            segment_age=segment_age,
        )

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        keep: Keep | None = None,
        watermarks: Watermarks | None = None,
        segment_size: int = 64 * MIB,
        segment_age: float = 60.0,
        large_size: int = MIB,
        cache_size: int = 64 * MIB,
        patience: float = PATIENCE,
        disk: Disk | None = None,
        clock: Callable[[], float] = time.time,
        mark: bytes | None = None,
    ) -> "FileSpool":
        """Lock the folder, make it if need be, and recover what is in it. Blocks.

        A segment is retired at `segment_size` octets or `segment_age` seconds; messages of
        `large_size` octets and more get a file at once; `cache_size` octets of fresh contents
        stay in memory; where syncs take longer than `patience` seconds, several are under way at
        once. Raises SpoolError: another process has it, or it cannot be read.
        """
        disk = disk or Disk()
        waiting = Waiting(folder / WAITING, disk)
        kept = Kept(folder, disk, keep or Keep())
        lock, found = recovered(folder, disk, waiting, kept, clock())
        segments = Segments(
            folder / JOURNAL,
            disk=disk,
            clock=clock,
            mark=mark or secrets.token_bytes(MARK_SIZE),
            found=found.segments,
            segment_size=segment_size,
        )
        return cls(
            disk=disk,
            lock=lock,
            journal=Journal(segments, patience=patience),
            waiting=waiting,
            kept=kept,
            gauge=Gauge(folder, disk=disk, clock=clock, watermarks=watermarks or Watermarks()),
            found=found,
            clock=clock,
            segment_age=segment_age,
            large_size=large_size,
            cache_size=cache_size,
        )

    async def close(self) -> None:
        """Sync what waits and let the folder go. Raises SpoolError."""
        async with self._retirement.lock:
            try:
                await self._journal.close()
            finally:
                await asyncio.to_thread(self._threads.end)
                self._disk.close(self._lock)

    async def add(self, envelope: Envelope, content: bytes) -> bool:
        """Take a message; on return its ACCEPT is synced (the commit point).

        False, and nothing done, where a message with this id is or was lately here: a repeat.
        Raises SpoolFull or SpoolError; the message is then not ours.
        """
        id = envelope.id
        if not _ID.fullmatch(id):
            raise ValueError(f"expected an id of lower-case letters and digits, got {id!r}")
        if id in self._held or id in self._settled:
            return False
        if id in self._arriving:
            raise SpoolError(f"the message {id} is being stored already")
        self._arriving.add(id)
        try:
            if len(content) >= self._large_size:
                await self._add_large(envelope, content)
            else:
                await self._journal.append(
                    Kind.ACCEPT,
                    id,
                    envelope_line(envelope),
                    content,
                    landed=lambda place: self._hold(Held(envelope, place), content),
                )
        finally:
            self._arriving.discard(id)
        return True

    async def content(self, id: MessageId) -> bytes:
        """The message's exact bytes. Raises KeyError; SpoolError where they cannot be read."""
        held = self._held[id]
        cached = self._contents.get(id)
        if cached is not None:
            return cached
        home = held.home
        try:
            return await self._read_together((id, home))
        except FileNotFoundError as error:
            if held.home != home:
                return await self.content(id)  # it moved to waiting/ in the meantime
            raise trouble_of(error, f"the message {id} cannot be read") from error
        except OSError as error:
            raise trouble_of(error, f"the message {id} cannot be read") from error

    async def record(self, id: MessageId, changes: Mapping[int, Recipient]) -> Envelope:
        """Keep the new state of the recipients at these places; gives the envelope as it is now.

        Written on return, synced with the next commit or the next `retire_due`. Raises KeyError;
        SpoolError when it could not be written, and the state is in force all the same.
        """
        held = self._held[id]
        held.envelope = held.envelope.with_recipients(changes)
        if _rests(held.envelope, self._clock() + SOON):
            self._contents.drop(id)
        # Where the message is settled by it, the DONE that is next says all there is to say,
        # unless a copy is to be made before it.
        if not held.envelope.is_settled or self._kept.wants(held.envelope):
            await self._journal.append(Kind.RESULT, id, changes_line(changes))
        return held.envelope

    async def remove(self, id: MessageId) -> None:
        """Forget a message that is settled; a copy is kept where the settings say so.

        Written on return, synced like a `record`. Raises SpoolError when the copy or the DONE
        could not be written; the id is forgotten all the same.
        """
        held = self._held.get(id)
        if held is None:
            return
        trouble: SpoolError | None = None
        try:
            await self._keep(held.envelope)  # first: a crash between the two repeats it
        except SpoolError as error:
            trouble = error
        self._held.pop(id, None)
        self._settled.add(id)
        self._contents.drop(id)
        await self._journal.append(Kind.DONE, id, landed=lambda _: self._finish(held))
        if trouble:
            raise trouble

    def envelope(self, id: MessageId) -> Envelope:
        """The envelope as it is now. Raises KeyError for an unknown or settled id."""
        return self._held[id].envelope

    def envelopes(self) -> Iterable[Envelope]:
        """All that is unsettled, oldest first."""
        return sorted(
            (held.envelope for held in self._held.values()),
            key=lambda envelope: envelope.accepted_at,
        )

    @property
    def is_writable(self) -> bool:
        """Whether a `record` would reach the disk, as far as is known."""
        return self._journal.trouble is None

    @property
    def count(self) -> int:
        """See `Spool`."""
        return len(self._held)

    def objection(self, size: int) -> str | None:
        """Why a message of `size` octets cannot be taken now, in words; None if it can."""
        if self._journal.trouble:
            return "mail cannot be written to disk now"  # clients need not know where that is
        return self._gauge.objection(size, len(self._held) + len(self._arriving))

    async def retire_due(self, now: float) -> None:
        """Do what is due: sync an idle journal, delete files of settled mail, retire segments.

        Raises SpoolError; nothing is lost then, and the next call tries again.
        """
        await self._retirement.step(now)

    async def sweep(self, now: float) -> int:
        """Delete the copies that were kept long enough; gives the number of files."""
        return await self._threads.on_disk("kept copies", self._kept.sweep, now)

    async def _add_large(self, envelope: Envelope, content: bytes) -> None:
        try:
            what = "the message could not be written"
            await self._threads.on_disk(what, self._waiting.put_large, envelope, content)
            await self._journal.append(
                Kind.LARGE,
                envelope.id,
                envelope_line(envelope),
                landed=lambda _: self._hold(Held(envelope, LARGE), content),
            )
        except SpoolError:
            path = self._waiting.path(envelope.id, LARGE)
            with suppress(SpoolError):  # else it is swept at the next start
                await self._threads.on_disk("a refused message", self._disk.unlink, path)
            raise

    async def _keep(self, envelope: Envelope) -> None:
        if self._kept.wants(envelope):
            content = await self.content(envelope.id)
            put, now = self._kept.put, self._clock()
            await self._threads.on_disk("keeping a copy", put, envelope, content, now)

    def _hold(self, held: Held, content: bytes) -> None:
        self._held[held.envelope.id] = held
        if held.envelope.released_at <= held.envelope.accepted_at:  # else it is not wanted soon
            self._contents.put(held.envelope.id, content)

    def _finish(self, held: Held) -> None:
        """A message is settled: its files may go, once that is synced."""
        if isinstance(held.home, str):
            self._finished.add(held.envelope.id)

    def _read(self, where: tuple[MessageId, Place | str]) -> bytes:
        id, home = where
        if isinstance(home, str):
            return self._waiting.content(self._waiting.path(id, home))
        content = self._disk.read(self._journal.path(home.segment), home.at, home.size)
        if zlib.crc32(content) != home.checksum:
            raise SpoolError(f"segment {home.segment}, octet {home.at}: the checksum is wrong")
        return content


def _rests(envelope: Envelope, until: float) -> bool:
    """Whether nothing is to be tried or reported before this moment, and something after it."""
    return not envelope.is_settled and all(
        recipient.is_settled or (recipient.state is State.WAITING and recipient.next_at >= until)
        for recipient in envelope.recipients
    )
