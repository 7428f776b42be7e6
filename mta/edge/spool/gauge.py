"""How full the spool is: whether the door may stay open."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mta.edge.spool.disk import Disk, Room

MIB = 1 << 20
_GLANCE = 1.0  # seconds for which a look at the disk is good


@dataclass(frozen=True, slots=True)
class Watermarks:
    """The door closes below a low mark and opens again above the high one.

    Octets and inodes that the disk has free for us; `messages` is the queue's limit.
    """

    bytes_low: int = 128 * MIB
    bytes_high: int = 192 * MIB
    inodes_low: int = 1000
    inodes_high: int = 2000
    messages: int = 200_000


class Gauge:
    """Looks at the disk about once a second, however often it is asked."""

    def __init__(
        self, folder: Path, *, disk: Disk, clock: Callable[[], float], watermarks: Watermarks
    ) -> None:
        self._folder = folder
        self._disk = disk
        self._clock = clock
        self._marks = watermarks
        self._looked_at = float("-inf")
        self._room = Room(0, None)
        self._is_low = False

    def objection(self, size: int, messages: int) -> str | None:
        """Why a message of `size` octets has no room beside the `messages` that are here."""
        if messages >= self._marks.messages:
            return f"the queue is full: {messages} messages"
        try:
            self._look()
        except OSError as error:
            return f"the spool's disk does not answer: {error}"
        left = f"{self._room.bytes // MIB} MiB and {self._room.inodes} inodes are free"
        if self._is_low:
            return f"the disk is nearly full: {left}"
        if self._room.bytes - size < self._marks.bytes_low:
            return f"the disk has no room for {size} octets: {left}"
        return None

    def _look(self) -> None:
        now = self._clock()
        if 0 <= now - self._looked_at < _GLANCE:
            return
        self._room = self._disk.room(self._folder)
        self._looked_at = now
        marks = self._marks
        bytes_mark = marks.bytes_high if self._is_low else marks.bytes_low
        inodes_mark = marks.inodes_high if self._is_low else marks.inodes_low
        inodes = self._room.inodes
        self._is_low = self._room.bytes < bytes_mark or (
            inodes is not None and inodes < inodes_mark
        )
