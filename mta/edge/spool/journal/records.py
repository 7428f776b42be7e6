"""The journal's records: what stands in a segment, byte by byte. Pure: bytes in, records out.

    segment   "mta journal 1\\n", NUL to 16 octets; the mark; records; NULs to the end
    record    mark 8 | kind 1 | length of id 1 | length of meta 4 | length of body 4
              | checksum of body 4 | checksum of all before, of id and of meta 4
              | id | meta | body

Numbers are little-endian, checksums CRC-32. The mark is drawn by chance when the spool is
opened, and known to nobody outside: a message that holds a whole record in its text cannot be
taken for one when a reader looks for the next good record after a damage.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from struct import Struct

VERSION = 1
MARK_SIZE = 8

_TITLE = b"mta journal "
_TITLE_SIZE = 16
HEADER_SIZE = _TITLE_SIZE + MARK_SIZE

_HEAD = Struct(f"<{MARK_SIZE}scBIII")
_CHECKSUM = Struct("<I")
_FIXED = _HEAD.size + _CHECKSUM.size


class Kind(Enum):
    """What a record says of its message."""

    ACCEPT = b"A"  # ours: meta is the envelope, body the content
    LARGE = b"L"  # ours: meta is the envelope, the content stands in a file of its own
    RESULT = b"R"  # meta is the new state of some recipients
    DONE = b"D"  # settled
    VOID = b"V"  # an ACCEPT that may stand before this was refused: no 250 was said


class VersionError(ValueError):
    """The segment was written by another version of the format; the message says which."""


@dataclass(frozen=True, slots=True)
class Record:
    """A good record, and where it and its body stand in the segment."""

    kind: Kind
    id: str
    meta: bytes
    at: int
    end: int
    body_at: int
    checksum: int  # of the body


@dataclass(frozen=True, slots=True)
class Damage:
    """Octets that are no good record although good records follow."""

    at: int
    end: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a segment says. `end` is where the last good record ends.

    `is_torn`: something follows that is no whole record. It was being written when the world
    stopped, so nobody was told that it is safe.
    """

    records: tuple[Record, ...]
    damages: tuple[Damage, ...]
    end: int
    is_torn: bool


def header(mark: bytes) -> bytes:
    """What a segment begins with."""
    return (_TITLE + b"%d\n" % VERSION).ljust(_TITLE_SIZE, b"\0") + mark


def encode(mark: bytes, kind: Kind, id: str, meta: bytes = b"", body: bytes = b"") -> bytes:
    """A record without its body, which is to be written right after it."""
    return encode_head(mark, kind, id, meta, len(body), zlib.crc32(body))


def encode_head(
    mark: bytes, kind: Kind, id: str, meta: bytes, body_size: int, body_checksum: int
) -> bytes:
    """The same, for a body of this size and with this checksum."""
    words = id.encode("ascii") + meta
    head = _HEAD.pack(mark, kind._value_, len(id), len(meta), body_size, body_checksum)
    return head + _CHECKSUM.pack(zlib.crc32(words, zlib.crc32(head))) + words


def read(data: bytes) -> Reading:
    """Read a segment: every good record, in order, whatever stands between them.

    Raises VersionError for a segment of another version; never for damage.
    """
    _refuse_other_versions(data)
    records: list[Record] = []
    damages: list[Damage] = []
    at = end = min(HEADER_SIZE, len(data))
    mark = _mark_of(data)
    while at < len(data):
        found = _record_at(data, at, mark)
        if isinstance(found, str):
            if data[at:] == bytes(len(data) - at):
                return Reading(tuple(records), tuple(damages), end, is_torn=False)
            after = next(_good_places(data, at + 1, mark), None)
            if after is None:
                return Reading(tuple(records), tuple(damages), end, is_torn=True)
            damages.append(Damage(at, after, found))
            at = after
        else:
            records.append(found)
            at = end = found.end
    return Reading(tuple(records), tuple(damages), end, is_torn=len(data) < HEADER_SIZE)


def _refuse_other_versions(data: bytes) -> None:
    title = data[:_TITLE_SIZE].rstrip(b"\0")
    version = title.removeprefix(_TITLE).strip()
    if title.startswith(_TITLE) and version.isdigit() and int(version) != VERSION:
        raise VersionError(f"expected journal format {VERSION}, found {int(version)}")


def _mark_of(data: bytes) -> bytes:
    """The segment's mark: as its first record has it, or where that is no good its header."""
    first = data[HEADER_SIZE : HEADER_SIZE + MARK_SIZE]
    if isinstance(_record_at(data, HEADER_SIZE, first), Record):
        return first
    return data[_TITLE_SIZE:HEADER_SIZE]


def _good_places(data: bytes, start: int, mark: bytes) -> Iterator[int]:
    """Where good records begin, from `start` on."""
    if len(mark) < MARK_SIZE or not any(mark):
        return  # no mark, nothing to find
    at = data.find(mark, start)
    while at >= 0:
        if isinstance(_record_at(data, at, mark), Record):
            yield at
        at = data.find(mark, at + 1)


def _record_at(data: bytes, at: int, mark: bytes) -> Record | str:
    """The record that begins at `at`, or in words why there is none."""
    if at + _FIXED > len(data):
        return "cut off in the head"
    found_mark, kind, name_size, meta_size, body_size, checksum = _HEAD.unpack_from(data, at)
    if found_mark != mark:
        return "no record begins here"
    name_at = at + _FIXED
    meta_at = name_at + name_size
    body_at = meta_at + meta_size
    end = body_at + body_size
    if end > len(data):
        return "cut off before the end, or a wrong length"
    (expected,) = _CHECKSUM.unpack_from(data, at + _HEAD.size)
    if zlib.crc32(data[name_at:body_at], zlib.crc32(data[at : at + _HEAD.size])) != expected:
        return "the checksum of the head is wrong"
    id = data[name_at:meta_at].decode("ascii", "backslashreplace")
    if zlib.crc32(memoryview(data)[body_at:end]) != checksum:
        return f"the checksum of the content is wrong, id {id}"
    try:
        return Record(Kind(kind), id, data[meta_at:body_at], at, end, body_at, checksum)
    except ValueError:
        return f"an unknown kind of record, {kind!r}"
