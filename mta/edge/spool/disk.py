"""The disk, in the calls that the spool makes of it: a test gives the spool another one.

Every file is made for its owner alone, whatever the umask; no link is ever followed; no
descriptor is inherited. All raise OSError.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mta.model.trouble import SpoolError, SpoolFull

TEMPORARY = ".tmp"

_SAFELY = os.O_CLOEXEC | os.O_NOFOLLOW
_BUFFERS = 1024  # as many as one writev takes: IOV_MAX of Linux


@dataclass(frozen=True, slots=True)
class Room:
    """What a disk has left, in octets and in files. None: it does not count its files."""

    bytes: int
    inodes: int | None


class Disk:
    """The real one."""

    def make_folder(self, path: Path, mode: int = 0o700) -> None:
        """Make it, for its owner alone or with another mode, or have it so."""
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        path.chmod(mode)

    def names(self, folder: Path) -> list[str]:
        """What a folder holds, in order."""
        return sorted(os.listdir(folder))

    def create(self, path: Path) -> int:
        """A new file to be written; it may not be there yet."""
        return self._opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def reopen(self, path: Path) -> int:
        """A file that is there, by one more descriptor: each is told of the file's errors."""
        return self._opened(path, os.O_WRONLY)

    def append_to(self, path: Path) -> int:
        """A file to be written at its end, made where there is none."""
        return self._opened(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, file: int, buffers: Sequence[bytes | memoryview]) -> int:
        """Write what can be written in one call; gives the number of octets."""
        return os.writev(file, buffers[:_BUFFERS])

    def preallocate(self, file: int, size: int) -> None:
        """Have room for `size` octets, all zero."""
        os.posix_fallocate(file, 0, size)

    def truncate(self, file: int, size: int) -> None:
        """Cut off what stands behind `size` octets."""
        os.ftruncate(file, size)

    def write_out(self, file: int) -> None:
        """Have the kernel begin to write it, and do not wait. It promises nothing.

        So the syncs of many files that follow find most of their work done, and share the rest.
        """
        with suppress(OSError):
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)

    def sync(self, file: int) -> None:
        """What was written, and its length, is on the platter when this returns."""
        os.fdatasync(file)

    def close(self, file: int) -> None:
        """Done with it."""
        os.close(file)

    def sync_folder(self, folder: Path) -> None:
        """The names in a folder are on the platter when this returns."""
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _SAFELY)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name; what had that name is gone."""
        old.rename(new)

    def unlink(self, path: Path) -> None:
        """Take the name away, where it is there."""
        path.unlink(missing_ok=True)

    def read(self, path: Path, at: int = 0, size: int | None = None) -> bytes:
        """`size` octets from `at` on, or all; fewer where the file ends before."""
        return self.read_some(path, at, size)[0]

    def read_some(self, path: Path, at: int = 0, size: int | None = None) -> tuple[bytes, int]:
        """The same, and the file's length."""
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | _SAFELY)  # a FIFO must not stop us
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", str(path))
            left = max(0, status.st_size - at)
            if size is not None:
                left = min(left, size)
            parts = []
            while left > 0 and (part := os.pread(file, left, at)):
                parts.append(part)
                at += len(part)
                left -= len(part)
        finally:
            os.close(file)
        return parts[0] if len(parts) == 1 else b"".join(parts), status.st_size

    def set_time(self, path: Path, at: float) -> None:
        """Say since when it is there."""
        os.utime(path, (at, at), follow_symlinks=False)

    def time(self, path: Path) -> float:
        """Since when it is there."""
        return path.lstat().st_mtime

    def room(self, folder: Path) -> Room:
        """What the disk under a folder has left for us."""
        found = os.statvfs(folder)
        return Room(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)

    def lock(self, path: Path) -> int:
        """Be the only process that has this file locked; until it is closed.

        Raises SpoolError, which says who has it.
        """
        file = self._opened(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, b"%d\n" % os.getpid(), 0)
        except BlockingIOError:
            holder = os.pread(file, 20, 0).strip().decode("ascii", "replace") or "unknown"
            os.close(file)
            raise SpoolError(
                f"{path.parent} is in use by process {holder}; "
                "stop that one, or give this one a spool of its own"
            ) from None
        except BaseException:
            os.close(file)
            raise
        return file

    def _opened(self, path: Path, flags: int) -> int:
        file = os.open(path, flags | _SAFELY, 0o600)
        try:
            os.fchmod(file, 0o600)
        except BaseException:
            os.close(file)
            raise
        return file


def write_whole(disk: Disk, file: int, buffers: Sequence[bytes], size: int | None = None) -> None:
    """Write all of it, in as many calls as that takes; `size` is its length, where it is known."""
    written = disk.write(file, buffers)
    if size is None:
        size = sum(map(len, buffers))
    if written < size:
        _write_rest(disk, file, buffers, written)


def _write_rest(disk: Disk, file: int, buffers: Sequence[bytes], written: int) -> None:
    left: list[bytes | memoryview] = list(buffers)
    while True:
        if written == 0:
            raise OSError(errno.EIO, "nothing was written")
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if not left:
            return
        left[0] = memoryview(left[0])[written:]
        written = disk.write(file, left)


def write_file(disk: Disk, path: Path, buffers: Sequence[bytes], *, is_synced: bool = True) -> None:
    """Have a file with this content, whole or not at all; its name is not synced.

    Whatever had the name is replaced. What a crash leaves behind ends in ".tmp".
    """
    with written(disk, [(path, buffers)], is_synced=is_synced) as names:
        for temporary, name in names:
            disk.rename(temporary, name)


@contextmanager
def written(
    disk: Disk, files: Iterable[tuple[Path, Sequence[bytes]]], *, is_synced: bool = True
) -> Iterator[list[tuple[Path, Path]]]:
    """Have files with these contents, whole and synced; gives what each is called and is to be.

    All of them are written before the first is synced, so that they share what a sync costs.
    They are there to be renamed; what is left of them after a failure is taken away.
    """
    names: list[tuple[Path, Path]] = []
    opened: list[int] = []
    try:
        try:
            for path, buffers in files:
                if opened and is_synced:
                    disk.write_out(opened[-1])
                temporary = Path(f"{path}{TEMPORARY}")
                opened.append(_created(disk, temporary))
                names.append((temporary, path))
                write_whole(disk, opened[-1], buffers)
            if is_synced:
                for file in opened:
                    disk.sync(file)
        finally:
            for file in opened:
                disk.close(file)
        yield names
    except OSError:
        for temporary, _ in names:
            with suppress(OSError):  # a full disk wants its room back
                disk.unlink(temporary)
        raise


def _created(disk: Disk, path: Path) -> int:
    try:
        return disk.create(path)
    except FileExistsError:  # an earlier try was cut short
        disk.unlink(path)
        return disk.create(path)


def trouble_of(error: OSError, what: str) -> SpoolError:
    """What an error of the disk means to those who rely on the spool."""
    kind = SpoolFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else SpoolError
    where = f" ({error.filename})" if error.filename else ""
    cure = _CURES.get(error.errno or 0, "")
    return kind(f"{what}: {error.strerror or error}{where}{cure}")


_CURES = {
    errno.ENOSPC: "; make room on its disk",
    errno.EDQUOT: "; raise the quota of the user that mta runs as",
    errno.EACCES: "; let the user that mta runs as read and write there",
    errno.ENOTDIR: "; name a folder, or a path where none is yet",
    errno.EROFS: "; mount its disk for writing",
}
