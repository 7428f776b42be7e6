"""Looks into a spool from outside, whether a server runs or not: it locks and writes nothing.

What a running server does at the same moment may or may not be seen.
"""

import zlib
from pathlib import Path

from mta.model.envelope import Envelope, MessageId
from mta.model.trouble import SpoolError

from mta.edge.spool.disk import Disk
from mta.edge.spool.journal.segments import segment_path
from mta.edge.spool.journal.turns import Place
from mta.edge.spool.survey import JOURNAL, WAITING, Held, survey
from mta.edge.spool.waiting import MESSAGE, Waiting


def inspect(folder: Path) -> list[Envelope]:
    """All that is unsettled, oldest first. Raises SpoolError where it cannot be read."""
    held = survey(folder, Disk(), now=0.0).held.values()
    return sorted((one.envelope for one in held), key=lambda envelope: envelope.accepted_at)


def read_content(folder: Path, id: MessageId) -> bytes:
    """An unsettled message's exact bytes. Raises KeyError; SpoolError for what cannot be read."""
    held = survey(folder, Disk(), now=0.0).held[id]
    try:
        return _content(folder, held)
    except FileNotFoundError:
        pass  # it has just moved, if it has not been settled
    except OSError as error:
        raise SpoolError(f"the message {id} cannot be read: {error}") from error
    try:
        waiting = Waiting(folder / WAITING, Disk())
        return waiting.content(waiting.path(id, MESSAGE))
    except OSError as error:
        raise SpoolError(f"the message {id} is gone: {error}") from error


def _content(folder: Path, held: Held) -> bytes:
    if isinstance(held.home, Place):
        path = segment_path(folder / JOURNAL, held.home.segment)
        content = Disk().read(path, held.home.at, held.home.size)
        if zlib.crc32(content) != held.home.checksum:
            raise SpoolError(f"{path}, octet {held.home.at}: the checksum is wrong")
        return content
    waiting = Waiting(folder / WAITING, Disk())
    return waiting.content(waiting.path(held.envelope.id, held.home))
