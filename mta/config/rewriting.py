"""A file of ours exchanged whole, by one program at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[Path]:
    """Nobody else that asks here writes this file meanwhile; gives where it really is.

    What is locked is its folder, so no lock file is left behind. Raises OSError.
    """
    real = path.resolve()
    descriptor = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield real
    finally:
        os.close(descriptor)


def rewrite(path: Path, text: str) -> None:
    """Put a secret file in place whole and synced, readable by its owner alone.

    It belongs to whom the file before it belonged to, or its folder, where we may say so: a
    server is not to be locked out of a file because root wrote to it. Raises OSError.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            owner = (path if path.exists() else path.parent).stat()
            with suppress(PermissionError):
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
