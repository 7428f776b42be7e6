"""Leaves a message in the drop folder. Light, because each call of sendmail(1) loads it."""

import os
from contextlib import suppress
from pathlib import Path

from mta.rules.message.dropfile import SUFFIX

from mta.edge.maildrop import TEMPORARY


def new_name() -> str:
    """A name that nobody can guess, for one message."""
    return os.urandom(16).hex()


def leave(folder: Path, name: str, octets: bytes) -> None:
    """Leave a message in the folder; on return it is on disk, whole. The commit is the rename.

    A user may not open the folder to sync it, so the file is synced once more after its rename: on
    ext4, XFS and btrfs that takes the new name to the platter. Raises OSError; then the message is
    not there, unless that last sync is what failed.
    """
    temporary = folder / f"{name}{TEMPORARY}"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        try:
            _write(file, octets)
            _share(file, folder)
            os.fsync(file)
            temporary.rename(folder / f"{name}{SUFFIX}")
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        os.fsync(file)
    finally:
        os.close(file)
    with suppress(PermissionError):
        sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """The names in a folder are on the platter when this returns. Raises OSError."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _write(file: int, octets: bytes) -> None:
    left = memoryview(octets)
    while left:
        left = left[os.write(file, left) :]


def _share(file: int, folder: Path) -> None:
    """Let the server read it, if the folder gave it the server's group."""
    if os.fstat(file).st_gid == folder.stat().st_gid:
        os.fchmod(file, 0o640)
