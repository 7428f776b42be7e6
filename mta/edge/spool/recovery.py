"""Makes a spool's folder fit for work after whatever happened to it.

It can be killed anywhere and run again: what it deletes counts for nothing, and what it cannot
read it puts aside in quarantine/, with the reason beside it, before it goes on without it.
"""

import logging
from pathlib import Path

from mta.edge.spool.disk import TEMPORARY, Disk, write_file
from mta.edge.spool.kept import FAILED, SENT
from mta.edge.spool.survey import QUARANTINE, Survey

log = logging.getLogger(__name__)


def mend(folder: Path, found: Survey, disk: Disk) -> None:
    """Sweep, put aside, give back room. Raises OSError."""
    aside = folder / QUARANTINE
    for path, damage in found.damages:
        name = f"{path.stem}-{damage.at}"
        octets = disk.read(path, damage.at, damage.end - damage.at)
        write_file(disk, aside / f"{name}.bytes", [octets])
        _give_reason(disk, aside / f"{name}.txt", f"{path}, octet {damage.at}: {damage.reason}")
    for path, reason in found.spoiled:
        _give_reason(disk, aside / f"{path.name}.txt", f"{path}: {reason}")
        try:
            disk.rename(path, aside / path.name)
        except FileNotFoundError:
            continue  # that was the damage
        disk.sync_folder(path.parent)
    if found.damages or found.spoiled:
        disk.sync_folder(aside)
    for path in found.strays + _temporaries(folder, disk):
        disk.unlink(path)
    for path, end in found.ends.items():
        _cut(disk, path, end)


def _give_reason(disk: Disk, path: Path, reason: str) -> None:
    log.error("put into quarantine: %s", reason)
    write_file(disk, path, [reason.encode("ascii", "backslashreplace") + b"\n"])


def _temporaries(folder: Path, disk: Disk) -> list[Path]:
    """What a crash left in the folders outside waiting/."""
    return [
        folder / name / file
        for name in (FAILED, SENT, QUARANTINE)
        for file in disk.names(folder / name)
        if file.endswith(TEMPORARY)
    ]


def _cut(disk: Disk, path: Path, end: int) -> None:
    """Give back the room that a segment was given in advance and will not use any more."""
    file = disk.append_to(path)
    try:
        disk.truncate(file, end)
    finally:
        disk.close(file)
