"""Copies of messages that are settled: sent/ and failed/, for as long as the settings say.

    failed/ID.eml    the message as it went on the wire
    failed/ID.json   what became of each recipient

They are for people to look at, and nothing rests on them: they are not synced. The .json is
written last.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mta.model.envelope import Envelope, State

from mta.edge.spool.disk import Disk, write_file
from mta.edge.spool.lines import envelope_line

SENT, FAILED = "sent", "failed"


@dataclass(frozen=True, slots=True)
class Keep:
    """For how many seconds copies are kept of mail that was sent, or failed. 0: not at all."""

    sent: float = 0.0
    failed: float = 7 * 86400.0


class Kept:
    """The folders of the copies. All methods block; all raise OSError."""

    def __init__(self, folder: Path, disk: Disk, keep: Keep) -> None:
        self._disk = disk
        self._folders = {SENT: folder / SENT, FAILED: folder / FAILED}
        self._seconds = {SENT: keep.sent, FAILED: keep.failed}

    def make(self) -> None:
        """Have the folders."""
        for folder in self._folders.values():
            self._disk.make_folder(folder)

    def wants(self, envelope: Envelope) -> bool:
        """Whether a copy of this message is to be kept."""
        return self._seconds[_class_of(envelope)] > 0

    def put(self, envelope: Envelope, content: bytes, now: float) -> None:
        """Keep a copy."""
        folder = self._folders[_class_of(envelope)]
        for suffix, data in (".eml", content), (".json", envelope_line(envelope) + b"\n"):
            path = folder / (envelope.id + suffix)
            write_file(self._disk, path, [data], is_synced=False)
            self._disk.set_time(path, now)

    def sweep(self, now: float) -> int:
        """Delete what was kept long enough; gives the number of files."""
        swept = 0
        for name, folder in self._folders.items():
            for file in self._disk.names(folder):
                path = folder / file
                with suppress(FileNotFoundError):  # somebody else was quicker
                    if self._disk.time(path) + self._seconds[name] <= now:
                        self._disk.unlink(path)
                        swept += 1
        return swept


def _class_of(envelope: Envelope) -> str:
    """A message counts as failed where any recipient did not get it."""
    failed = any(recipient.state is State.REPORTED for recipient in envelope.recipients)
    return FAILED if failed else SENT
