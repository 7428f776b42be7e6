"""The spool's folder: taken for this process alone, and furnished with what stands in it."""

from pathlib import Path

from mta.model.trouble import SpoolError

from mta.edge.spool.disk import Disk
from mta.edge.spool.kept import Kept
from mta.edge.spool.survey import JOURNAL, QUARANTINE, WAITING
from mta.edge.spool.waiting import Waiting

# What may be in a folder before its first journal; a disk of its own has a lost+found.
_OURS = ("lock", "lost+found", QUARANTINE, WAITING)


def claimed(folder: Path, disk: Disk) -> int:
    """The lock on a folder that is ours, made if it is not there.

    Raises SpoolError where it is somebody else's or another process has it, and OSError.
    """
    _refuse_foreign(folder, disk)
    disk.make_folder(folder)
    disk.sync_folder(folder.parent)
    return disk.lock(folder / "lock")


def furnish(folder: Path, disk: Disk, waiting: Waiting, kept: Kept) -> None:
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
