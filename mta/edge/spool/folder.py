"""The spool's folder: taken for this process alone, and furnished with what stands in it."""

import gc
from pathlib import Path

from mta.model.trouble import SpoolError

from mta.edge.spool.disk import Disk, trouble_of
from mta.edge.spool.kept import Kept
from mta.edge.spool.recovery import mend
from mta.edge.spool.survey import JOURNAL, QUARANTINE, WAITING, Survey, survey
from mta.edge.spool.waiting import Waiting

_MANY = 10_000  # messages past which the collector is to pass over what a start found

# What may be in a folder before its first journal; a disk of its own has a lost+found.
_OURS = ("lock", "lost+found", QUARANTINE, WAITING)


def recovered(
    folder: Path, disk: Disk, waiting: Waiting, kept: Kept, now: float
) -> tuple[int, Survey]:
    """Lock the folder, made if it is not there; furnish it, read it, make it fit for work.

    Gives the lock and what was found. Raises SpoolError: another process has it, it is
    somebody else's, or it cannot be read.
    """
    try:
        lock = _claimed(folder, disk)
        try:
            _furnish(folder, disk, waiting, kept)
            found = _surveyed(folder, disk, now)
            mend(folder, found, disk)
        except BaseException:
            disk.close(lock)
            raise
    except OSError as error:
        raise trouble_of(error, f"the spool {folder} cannot be opened") from error
    return lock, found


def _surveyed(folder: Path, disk: Disk, now: float) -> Survey:
    """What is in it, kept from the garbage collector.

    It would look through all that was found over and over while more is found, a fifth of the
    time that a long queue takes, and then stop the server for 3 us a message now and then.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        found = survey(folder, disk, now)
        if len(found.held) > _MANY:
            gc.freeze()
    finally:
        if was_enabled:
            gc.enable()
    return found


def _claimed(folder: Path, disk: Disk) -> int:
    """The lock on a folder that is ours, made if it is not there.

    Raises SpoolError where it is somebody else's or another process has it, and OSError.
    """
    _refuse_foreign(folder, disk)
    disk.make_folder(folder, 0o711)  # others may go through it, to the drop folder
    disk.sync_folder(folder.parent)
    return disk.lock(folder / "lock")


def _furnish(folder: Path, disk: Disk, waiting: Waiting, kept: Kept) -> None:
    """Have the folders in it. Raises OSError."""
    for name in (JOURNAL, QUARANTINE):
        disk.make_folder(folder / name)
    waiting.make()
    kept.make()
    disk.sync_folder(folder)


def _refuse_foreign(folder: Path, disk: Disk) -> None:
    """Keep off what is somebody else's, or we shut it to all users but ours. Raises SpoolError."""
    try:
        names = disk.names(folder)
    except FileNotFoundError:
        return
    foreign = [name for name in names if name not in _OURS and not name.startswith(".")]
    if foreign and JOURNAL not in names:
        raise SpoolError(
            f"expected a folder for the spool alone at {folder}, found {foreign[0]} in it; "
            "choose an empty folder, or one that is not there yet"
        )
