"""A disk in memory that can stop the world, fail, write short, and lose its power.

What was written stands in the cache; a sync brings it to the platter, where a loss of power
leaves it. Names are in their folder's cache until the folder is synced.
"""

import errno
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mta.model.trouble import SpoolError

from mta.edge.spool.disk import Disk, Room


class Stopped(BaseException):
    """The world stopped, in the middle of a call. Nothing catches it."""


@dataclass(eq=False)
class Inode:
    cache: bytearray = field(default_factory=bytearray)
    platter: bytes = b""
    changed_at: float = 0.0
    is_poisoned: bool = False  # a sync failed: the next ones lie, as they do on Linux
    errors: int = 0  # told once to each descriptor, by a disk that takes its time
    synced: int = 0  # the latest sync that brought anything to the platter


@dataclass(eq=False)
class OpenFile:
    inode: Inode
    position: int
    told: int = 0  # of the errors


@dataclass(eq=False)
class Folder:
    cache: dict[str, "Inode | Folder"] = field(default_factory=dict)
    platter: dict[str, "Inode | Folder"] = field(default_factory=dict)


@dataclass
class Fault:
    """What happens at the call of this number, counted from 1: "stop", "EIO", "ENOSPC", "short".

    A world that stopped stays so. `lasts`: the disk goes on failing after that call. `stops_at`
    is the call at which the world stops after another fault.
    """

    kind: str
    at: int
    lasts: bool = False
    stops_at: int | None = None

    def strikes(self, number: int) -> bool:
        """Whether this call is hit."""
        return number == self.at or (number > self.at and self.lasts) or self.has_stopped(number)

    def has_stopped(self, number: int) -> bool:
        """Whether the world has stopped by this call."""
        stops_at = self.at if self.kind == "stop" else self.stops_at
        return stops_at is not None and number >= stops_at


Chance = Callable[[], float]


class MemoryDisk(Disk):
    """Keeps the promises of Disk; `calls` names all calls that were made of it.

    What is named in `skips`, "sync" or "sync_folder", returns without having been done: the
    tests of lost power must fail then, or they prove nothing.
    """

    def __init__(self) -> None:
        self.root = Folder()
        self.calls: list[str] = []
        self.fault: Fault | None = None
        self.skips = ""
        self.free = Room(1 << 40, 1 << 20)
        self._files: dict[int, OpenFile] = {}
        self._next_file = 100
        self._locked: dict[int, Path] = {}

    # The troubles.

    def restart(self) -> None:
        """The process died, and another begins: caches stay, what was open is closed."""
        self.fault = None
        self.calls = []
        self._files = {}
        self._locked = {}

    def lose_power(self, survives: Chance | None = None) -> None:
        """Only what is on the platter is left.

        With `survives`, each unsynced name is kept, and each unsynced file is kept, kept half or
        lost, by chance.
        """
        self._lose(self.root, survives)
        self.restart()

    def _lose(self, folder: Folder, survives: Chance | None) -> None:
        left = dict(folder.platter)
        if survives:
            for name in sorted({*folder.cache, *folder.platter}):
                if survives() < 0.5:
                    left.pop(name, None)
                    if name in folder.cache:
                        left[name] = folder.cache[name]
        folder.cache, folder.platter = dict(left), dict(left)
        for child in left.values():
            if isinstance(child, Folder):
                self._lose(child, survives)
            else:
                self._lose_octets(child, survives)

    def _lose_octets(self, inode: Inode, survives: Chance | None) -> None:
        size = max(len(inode.cache), len(inode.platter))
        cache, platter = bytes(inode.cache).ljust(size, b"\0"), inode.platter.ljust(size, b"\0")
        if survives is None or (draw := survives()) < 1 / 3:
            octets, length = platter, len(inode.platter)
        elif draw < 2 / 3:
            octets, length = cache, len(inode.cache)
        else:
            cut = int(survives() * size)
            octets, length = cache[:cut] + platter[cut:], size
        inode.platter = octets[:length]
        inode.cache = bytearray(inode.platter)

    def _call(self, name: str) -> None:
        """Count a call, and have it fail where that is planned."""
        self.calls.append(name)
        if self.fault and self.fault.strikes(len(self.calls)):
            self._strike(self.fault, name)

    def _strike(self, fault: Fault, name: str) -> None:
        if fault.has_stopped(len(self.calls)):
            raise Stopped
        if fault.kind == "short":
            return  # a write is, and nothing else
        raise OSError(getattr(errno, fault.kind), f"planned at {name}")

    # The disk.

    def _find(self, path: Path) -> Inode | Folder:
        found: Inode | Folder = self.root
        for part in path.parts[1:]:
            assert isinstance(found, Folder)
            if part not in found.cache:
                raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
            found = found.cache[part]
        return found

    def _folder(self, path: Path) -> Folder:
        found = self._find(path)
        assert isinstance(found, Folder)
        return found

    def _inode(self, path: Path) -> Inode:
        found = self._find(path)
        assert isinstance(found, Inode)
        return found

    def _open(self, inode: Inode, position: int = 0) -> int:
        self._next_file += 1
        self._files[self._next_file] = OpenFile(inode, position)
        return self._next_file

    def make_folder(self, path: Path, mode: int = 0o700) -> None:
        self._call("make_folder")
        self._folder(path.parent).cache.setdefault(path.name, Folder())

    def names(self, folder: Path) -> list[str]:
        self._call("names")
        return sorted(self._folder(folder).cache)

    def create(self, path: Path) -> int:
        self._call("create")
        folder = self._folder(path.parent)
        if path.name in folder.cache:
            raise FileExistsError(errno.EEXIST, "exists", str(path))
        folder.cache[path.name] = inode = Inode()
        return self._open(inode)

    def reopen(self, path: Path) -> int:
        self._call("reopen")
        return self._open(self._inode(path))

    def append_to(self, path: Path) -> int:
        self._call("append_to")
        inode = self._folder(path.parent).cache.setdefault(path.name, Inode())
        assert isinstance(inode, Inode)
        return self._open(inode, len(inode.cache))

    def write(self, file: int, buffers: Sequence[bytes | memoryview]) -> int:
        """A call that is hit writes the first half, whatever else happens to it."""
        self.calls.append("write")
        octets = b"".join(buffers)
        is_hit = self.fault is not None and self.fault.strikes(len(self.calls))
        if is_hit:
            octets = octets[: max(1, len(octets) // 2)]
        opened = self._files[file]
        end = opened.position + len(octets)
        opened.inode.cache[opened.position : end] = octets
        opened.position = end
        if is_hit and self.fault:
            self._strike(self.fault, "write")
        return len(octets)

    def preallocate(self, file: int, size: int) -> None:
        self._call("preallocate")
        cache = self._files[file].inode.cache
        cache.extend(bytes(size - len(cache)))

    def truncate(self, file: int, size: int) -> None:
        self._call("truncate")
        del self._files[file].inode.cache[size:]

    def write_out(self, file: int) -> None:
        self._call("write_out")

    def sync(self, file: int) -> None:
        inode = self._files[file].inode
        try:
            self._call("sync")
        except OSError:
            inode.is_poisoned = True
            raise
        if not inode.is_poisoned and self.skips != "sync":
            inode.platter = bytes(inode.cache)

    def sync_folder(self, folder: Path) -> None:
        self._call("sync_folder")
        found = self._folder(folder)
        if self.skips != "sync_folder":
            found.platter = dict(found.cache)

    def close(self, file: int) -> None:
        self._call("close")
        self._files.pop(file, None)
        self._locked.pop(file, None)

    def rename(self, old: Path, new: Path) -> None:
        self._call("rename")
        inode = self._inode(old)
        del self._folder(old.parent).cache[old.name]
        self._folder(new.parent).cache[new.name] = inode

    def unlink(self, path: Path) -> None:
        self._call("unlink")
        self._folder(path.parent).cache.pop(path.name, None)

    def read_some(self, path: Path, at: int = 0, size: int | None = None) -> tuple[bytes, int]:
        self._call("read")
        cache = self._inode(path).cache
        return bytes(cache[at : None if size is None else at + size]), len(cache)

    def set_time(self, path: Path, at: float) -> None:
        self._call("set_time")
        self._inode(path).changed_at = at

    def time(self, path: Path) -> float:
        self._call("time")
        return self._inode(path).changed_at

    def room(self, folder: Path) -> Room:
        self._call("room")
        self._folder(folder)
        return self.free

    def lock(self, path: Path) -> int:
        self._call("lock")
        if path in self._locked.values():
            raise SpoolError(f"{path.parent} is in use by process 1")
        inode = self._folder(path.parent).cache.setdefault(path.name, Inode())
        assert isinstance(inode, Inode)
        file = self._open(inode)
        self._locked[file] = path
        return file


@dataclass(eq=False)
class Sync:
    """One that is under way, and what it is to bring to the platter."""

    opened: OpenFile
    octets: bytes
    number: int
    gate: threading.Event = field(default_factory=threading.Event)


class SlowDisk(MemoryDisk):
    """One whose syncs take their time: by chance up to `seconds`, or until they are `let_through`.

    A sync brings to the platter what was written when it began, and nothing that came later. When
    one fails, so do those that are under way by other descriptors of the file; by the same
    one they succeed, and lie.

    It can be made worse than a disk may be, for the tests that must fail then: one that `joins`
    takes a sync that begins during another for the same, and one that `shares` has but one
    descriptor for a file.
    """

    def __init__(
        self,
        seconds: float,
        chance: Chance = lambda: 1.0,
        *,
        joins: bool = False,
        shares: bool = False,
    ) -> None:
        super().__init__()
        self.began = threading.Semaphore(0)  # counts syncs,
        self.ended = threading.Semaphore(0)  # and their ends
        self.most_at_once = 0
        self.seconds = seconds
        self._chance = chance
        self._joins = joins
        self._shares = shares
        self._busy = threading.RLock()
        self._pending: list[Sync] = []
        self._syncs = 0

    def let_through(self, place: int) -> None:
        """Let the sync end that has this place among those under way, oldest first."""
        with self._busy:
            self._pending[place].gate.set()

    def fail(self, place: int) -> None:
        """Have it fail."""
        with self._busy:
            sync = self._pending[place]
            sync.opened.inode.errors += 1
            sync.opened.inode.is_poisoned = True
            sync.gate.set()

    def calmed(self) -> MemoryDisk:
        """A plain disk with what is on this one."""
        disk = MemoryDisk()
        disk.root = self.root
        return disk

    def reopen(self, path: Path) -> int:
        with self._busy:
            file = super().reopen(path)
            if self._shares:
                same = (one for one in self._files.values() if one.inode is self._inode(path))
                self._files[file] = next(same)
            return file

    def write(self, file: int, buffers: Sequence[bytes | memoryview]) -> int:
        with self._busy:
            return super().write(file, buffers)

    def sync(self, file: int) -> None:
        opened = self._files[file]
        with self._busy:
            self._syncs += 1
            sync = Sync(opened, bytes(opened.inode.cache), self._syncs)
            others = [one for one in self._pending if one.opened.inode is opened.inode]
            if self._joins and others:
                sync.octets, sync.number = others[-1].octets, others[-1].number
            try:
                self._call("sync")
            except OSError:
                opened.inode.errors += 1
                opened.told = opened.inode.errors
                opened.inode.is_poisoned = True
                raise
            self._pending.append(sync)
            self.most_at_once = max(self.most_at_once, len(self._pending))
            seconds = self._chance() * self.seconds
        self.began.release()
        sync.gate.wait(seconds)
        try:
            with self._busy:
                self._pending.remove(sync)
                self._end(sync)
        finally:
            self.ended.release()

    def _end(self, sync: "Sync") -> None:
        if self.fault and self.fault.has_stopped(len(self.calls)):
            raise Stopped
        opened, inode = sync.opened, sync.opened.inode
        if opened.told < inode.errors:
            opened.told = inode.errors
            raise OSError(errno.EIO, "a sync of this file failed")
        if not inode.is_poisoned and inode.synced < sync.number:
            inode.platter, inode.synced = sync.octets, sync.number

    def _call(self, name: str) -> None:
        with self._busy:
            super()._call(name)
