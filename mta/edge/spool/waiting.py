"""Files for mail that waits, and for large messages from the start.

waiting/4f/ID.msg     a line of JSON (envelope, size, checksum), then the content
waiting/4f/ID.large   the same; it counts only where an ACCEPT in the journal names it
waiting/4f/ID.log     the envelope's latest state, in one line
waiting/4f/*.tmp      being written: swept at the next start
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mta.model.envelope import Envelope, MessageId
from mta.model.trouble import SpoolError

from mta.edge.spool.disk import Disk, write_file, written
from mta.edge.spool.journal.records import VersionError
from mta.edge.spool.lines import (
    LineError,
    envelope_line,
    envelope_of,
    parsed,
    read_envelope,
    sealed,
    unsealed,
)

VERSION = 1
MESSAGE, LARGE, LOG = ".msg", ".large", ".log"

_SUBFOLDERS = tuple(f"{number:02x}" for number in range(256))
_FIRST_READ = 4096
_FIRST_LINE_LIMIT = 64 << 20


NewFile = tuple[Path, list[bytes]]


class Waiting:
    """The folder waiting/ and what is in it. All methods block; all raise OSError."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._subfolders = [folder / name for name in _SUBFOLDERS]
        self._disk = disk
        self._unsynced: set[Path] = set()

    def make(self) -> None:
        """Have the folder and all that are in it."""
        self._disk.make_folder(self._folder)
        for name in sorted(set(_SUBFOLDERS) - set(self._disk.names(self._folder))):
            self._disk.make_folder(self._folder / name)
        self._disk.sync_folder(self._folder)

    def folder(self, id: MessageId) -> Path:
        """Where a message's files are."""
        return self._subfolders[zlib.crc32(id.encode()) & 255]

    def path(self, id: MessageId, suffix: str) -> Path:
        """Where a message's file of this kind is."""
        return self.folder(id) / (id + suffix)

    def message(self, envelope: Envelope, content: bytes, checksum: int) -> NewFile:
        """A message's file. The checksum is what the content should have."""
        title = b'{"format":%d,"size":%d,"checksum":%d,"envelope":%b}' % (
            VERSION,
            len(content),
            checksum,
            envelope_line(envelope),
        )
        return self.path(envelope.id, MESSAGE), [sealed(title), content]

    def log(self, envelope: Envelope) -> NewFile:
        """A message's latest state. It takes the place of an earlier one.

        Never by appending: after a sync that failed, the next one on the same file would lie.
        """
        return self.path(envelope.id, LOG), [sealed(envelope_line(envelope))]

    def put(self, files: Iterable[NewFile]) -> Iterator[int]:
        """Write files together; gives the place of each once it has its name.

        Durable after `sync`. Each is synced before it has its name, so no crash shows a part.
        """
        with written(self._disk, files) as names:
            for place, (temporary, path) in enumerate(names):
                self._disk.rename(temporary, path)
                self._unsynced.add(path.parent)
                yield place

    def put_large(self, envelope: Envelope, content: bytes) -> None:
        """Write a large message, durably; it does not count before its ACCEPT."""
        _, buffers = self.message(envelope, content, zlib.crc32(content))
        path = self.path(envelope.id, LARGE)
        write_file(self._disk, path, buffers)
        self._disk.sync_folder(path.parent)  # at once: the ACCEPT waits for it

    def remove(self, id: MessageId) -> None:
        """Take a message's files away; durable after `sync`."""
        folder = self.folder(id)
        for suffix in (MESSAGE, LARGE, LOG):
            self._disk.unlink(folder / (id + suffix))
        self._unsynced.add(folder)

    def sync(self) -> None:
        """Have the names on the platter."""
        for folder in sorted(self._unsynced):
            self._disk.sync_folder(folder)
            self._unsynced.discard(folder)

    def folders(self) -> Sequence[Path]:
        """All that files are in."""
        return self._subfolders

    def names(self, folder: Path) -> list[str]:
        """What is in one of them."""
        return self._disk.names(folder)

    def envelope(self, path: Path, id: str) -> Envelope:
        """What the first line of a message's file says; its content is not read.

        Raises LineError where the line is bad, or the file is shorter or longer than it says;
        VersionError where another version wrote it.
        """
        line, at, length = self._first_line(path)
        raw, size, _ = _read_title(line)
        if length - at != size:
            raise LineError(f"expected {size} octets of content, found {length - at}")
        envelope = envelope_of(raw)
        if envelope.id != id:
            raise LineError(f"expected the message {id}, found {envelope.id}")
        return envelope

    def latest(self, path: Path) -> Envelope:
        """The state that a log holds. Raises LineError."""
        return read_envelope(unsealed(self._disk.read(path).rstrip(b"\n")))

    def content(self, path: Path) -> bytes:
        """The message's exact octets. Raises SpoolError where they are not what was written."""
        data = self._disk.read(path)
        end = data.find(b"\n")
        try:
            _, _, checksum = _read_title(data[:end])
        except (LineError, VersionError) as error:
            raise SpoolError(f"{path}: {error}") from error
        content = data[end + 1 :]
        if zlib.crc32(content) != checksum:
            raise SpoolError(f"{path}: the checksum of the content is wrong")
        return content

    def _first_line(self, path: Path) -> tuple[bytes, int, int]:
        """A file's first line, where the next begins, and the file's length."""
        size = _FIRST_READ
        while True:
            data, length = self._disk.read_some(path, 0, size)
            end = data.find(b"\n")
            if end >= 0:
                return data[:end], end + 1, length
            if len(data) < size or size > _FIRST_LINE_LIMIT:
                raise LineError("there is no first line")
            size *= 8


def _read_title(line: bytes) -> tuple[object, int, int]:
    """The envelope, not built yet; size and checksum of the content.

    Raises LineError, VersionError.
    """
    raw = parsed(unsealed(line))
    version, size, checksum = (raw.get(name) for name in ("format", "size", "checksum"))
    if version != VERSION:
        raise VersionError(f"expected message format {VERSION}, found {version!r}")
    if not isinstance(size, int) or not isinstance(checksum, int):
        raise LineError("expected the size and the checksum of the content")
    return raw.get("envelope"), size, checksum
