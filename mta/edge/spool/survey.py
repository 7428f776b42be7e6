"""What a spool's folder says is ours: journal and waiting/ read together. It writes nothing.

The journal is read before the folder of waiting mail, because mail moves from the one to the
other while a server runs, and stands in both for a while: so nothing is ever missed. What both
say is then put together in the order in which it was written: files first, then the segments.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mta.model.envelope import Envelope, MessageId
from mta.model.trouble import SpoolError

from mta.edge.spool.disk import Disk
from mta.edge.spool.journal.records import Damage, Kind, Reading, Record, VersionError, read
from mta.edge.spool.journal.turns import Place, Segment
from mta.edge.spool.lines import LineError, read_changes, read_envelope
from mta.edge.spool.waiting import LARGE, LOG, MESSAGE, Waiting

READERS = 4  # folders that are read at a time: eight were no faster
JOURNAL, WAITING, QUARANTINE = "journal", "waiting", "quarantine"


@dataclass(slots=True)
class Held:
    """An unsettled message: its state, and where its content is.

    `saved` is the state that files alone bear witness to; None while the message needs its
    ACCEPT in the journal.
    """

    envelope: Envelope
    home: Place | str  # in the journal, or the suffix of its file
    saved: Envelope | None = None


@dataclass(slots=True)
class Survey:
    """What was found.

    `finished` are messages that are settled and have files still. `strays` are files of no
    message. `damages` are octets in a segment, and `spoiled` files, that should say something
    and do not, with the reason. `ends` says of segments with nothing but NULs behind their
    records where these begin.
    """

    held: dict[MessageId, Held] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)
    settled: set[MessageId] = field(default_factory=set)
    finished: set[MessageId] = field(default_factory=set)
    strays: list[Path] = field(default_factory=list)
    damages: list[tuple[Path, Damage]] = field(default_factory=list)
    spoiled: list[tuple[Path, str]] = field(default_factory=list)
    ends: dict[Path, int] = field(default_factory=dict)


def survey(folder: Path, disk: Disk, now: float) -> Survey:
    """Read a spool at `now`, in Unix seconds. A segment's age counts from its latest record.

    Raises SpoolError for what another version wrote, and for what the disk cannot read.
    """
    found = Survey()
    waiting = Waiting(folder / WAITING, disk)
    try:
        readings = list(_readings(folder / JOURNAL, disk, now))
        larges = _read_files(found, waiting)
        for segment, size, reading in readings:
            _replay(found, segment, reading)
            if not reading.is_torn and reading.end < size:
                found.ends[segment.path] = reading.end
        _check_larges(found, larges, waiting)
    except (OSError, VersionError) as error:
        raise SpoolError(f"the spool {folder} cannot be read: {error}") from error
    return found


def _readings(folder: Path, disk: Disk, now: float) -> Iterator[tuple[Segment, int, Reading]]:
    for name in disk.names(folder):
        if name.endswith(".seg") and name[:-4].isdigit():
            path = folder / name
            try:
                data, changed_at = disk.read(path), disk.time(path)
            except FileNotFoundError:
                continue  # retired by the server that runs
            # Not the time of our start: who restarts often must retire segments all the same.
            segment = Segment(int(path.stem), path, opened_at=min(changed_at, now))
            yield segment, len(data), read(data)


def _read_files(found: Survey, waiting: Waiting) -> dict[Path, MessageId]:
    """Take in what waits in files; gives the large messages that need their ACCEPT.

    A disk that has to be asked is asked for many folders at once: after a restart of the machine
    that takes 0.4 of the time. Where all is in memory it costs and saves nothing.
    """
    arriving: dict[Path, MessageId] = {}
    with ThreadPoolExecutor(READERS, "survey") as readers:
        for part, larges in readers.map(partial(_read_folder, waiting), waiting.folders()):
            found.held |= part.held
            found.spoiled += part.spoiled
            found.strays += part.strays
            arriving |= larges
    return arriving


def _read_folder(waiting: Waiting, folder: Path) -> tuple[Survey, dict[Path, MessageId]]:
    found, arriving, names = Survey(), {}, waiting.names(folder)
    there = set(names)
    for name in names:
        id, _, kind = name.rpartition(".")
        suffix, has_log = f".{kind}", id + LOG in there
        if suffix == MESSAGE or (suffix == LARGE and has_log):
            _read_file(found, folder, MessageId(id), suffix, waiting, has_log=has_log)
        elif suffix == LARGE:
            arriving[folder / name] = MessageId(id)
        elif suffix != LOG or not (id + MESSAGE in there or id + LARGE in there):
            found.strays.append(folder / name)
    return found, arriving


def _read_file(
    found: Survey, folder: Path, id: MessageId, suffix: str, waiting: Waiting, *, has_log: bool
) -> None:
    path = folder / (id + suffix)
    if folder != waiting.folder(id):
        found.spoiled.append((path, "it stands in a folder that is not its own"))
        return
    try:
        envelope = waiting.envelope(path, id)
    except FileNotFoundError:
        return  # settled by the server that runs
    except LineError as error:
        found.spoiled.append((path, str(error)))
        return
    if has_log:
        envelope = _latest(folder / (id + LOG), waiting) or envelope
    found.held[envelope.id] = Held(envelope, suffix, saved=envelope)


def _latest(log: Path, waiting: Waiting) -> Envelope | None:
    try:
        return waiting.latest(log)
    except (FileNotFoundError, LineError):
        return None  # settled by the server that runs, or damaged: an older state is true


def _replay(found: Survey, segment: Segment, reading: Reading) -> None:
    found.segments.append(segment)
    found.damages += [(segment.path, damage) for damage in reading.damages]
    for record in reading.records:
        try:
            _apply(found, segment, record)
        except LineError as error:
            found.damages.append((segment.path, Damage(record.at, record.end, str(error))))


def _apply(found: Survey, segment: Segment, record: Record) -> None:
    id = MessageId(record.id)
    held = found.held.get(id)
    if record.kind in (Kind.ACCEPT, Kind.LARGE):
        if held is None or held.saved is None:  # else it stands in both places
            found.held[id] = _accepted(segment, record)
    elif record.kind is Kind.RESULT:
        if held is not None:
            held.envelope = held.envelope.with_recipients(read_changes(record.meta))
    else:
        found.held.pop(id, None)
        if record.kind is Kind.DONE:
            found.settled.add(id)
            if held is not None and isinstance(held.home, str):
                found.finished.add(id)
    segment.note(record.kind, id)


def _accepted(segment: Segment, record: Record) -> Held:
    envelope = read_envelope(record.meta)
    if record.kind is Kind.LARGE:
        return Held(envelope, LARGE)
    size = record.end - record.body_at
    return Held(envelope, Place(segment.number, record.body_at, size, record.checksum))


def _check_larges(found: Survey, larges: dict[Path, MessageId], waiting: Waiting) -> None:
    """Match large messages with their ACCEPTs. One without was arriving: no 250 was said."""
    accepted = {
        id: held for id, held in found.held.items() if held.home == LARGE and held.saved is None
    }
    for id, held in accepted.items():
        path = waiting.path(id, LARGE)
        try:
            waiting.envelope(path, id)
        except (FileNotFoundError, LineError) as error:
            found.spoiled.append((path, f"{error}; it was {_described(held.envelope)}"))
            del found.held[id]
    found.strays += [
        path for path, id in larges.items() if id not in accepted and id not in found.finished
    ]


def _described(envelope: Envelope) -> str:
    addresses = [str(recipient.address) for recipient in envelope.recipients]
    more = f" and {len(addresses) - 5} more" if len(addresses) > 5 else ""
    return f"from <{envelope.sender or ''}> to {', '.join(addresses[:5])}{more}"
