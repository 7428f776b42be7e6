"""Fewer processes than before: what waits in the spools of those that are no more moves over.

A message moves by being stored again, under its own id, in the first process's spool. Its old
folder goes when all of it has moved, by one rename; a crash before repeats the work, and the
spool recognises the repeats. Nothing is sent meanwhile.
"""

import asyncio
import logging
import shutil
from pathlib import Path

from mta.model.envelope import Envelope

from mta.edge.spool.files import FileSpool
from mta.edge.spool.survey import JOURNAL

from mta.config import Settings
from mta.processes.share import number_of, spools_in
from mta.wiring.fittings import open_spool

log = logging.getLogger(__name__)

_MOVED = ".moved"
_AT_ONCE = 100  # messages that share a sync


async def prepare_spools(settings: Settings, count: int) -> None:
    """Have the first process's spool, in which are the others, and no mail in spools of none.

    Raises SpoolError, OSError.
    """
    for moved in list(settings.spool.glob(f"process-*{_MOVED}")):
        shutil.rmtree(moved)
    orphans = [folder for folder in spools_in(settings.spool) if number_of(folder) >= count]
    if not orphans and (count == 1 or (settings.spool / JOURNAL).is_dir()):
        return
    heir = open_spool(settings)
    try:
        for folder in orphans:
            await _move(settings, folder, heir)
    finally:
        await heir.close()


async def _move(settings: Settings, folder: Path, heir: FileSpool) -> None:
    orphan = open_spool(settings.model_copy(update={"spool": folder}))
    try:
        envelopes = list(orphan.envelopes())
        if envelopes:
            log.info("taking over %d messages from %s", len(envelopes), folder)
        for start in range(0, len(envelopes), _AT_ONCE):
            batch = envelopes[start : start + _AT_ONCE]
            await asyncio.gather(*(_store(envelope, orphan, heir) for envelope in batch))
    finally:
        await orphan.close()
    await asyncio.to_thread(_clear_away, folder)


def _clear_away(folder: Path) -> None:
    moved = folder.rename(folder.with_name(folder.name + _MOVED))
    shutil.rmtree(moved)


async def _store(envelope: Envelope, orphan: FileSpool, heir: FileSpool) -> None:
    await heir.add(envelope, await orphan.content(envelope.id))
