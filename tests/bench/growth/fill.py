"""A spool with many messages that wait for later, made quickly by the spool's own code."""

import os
import time
import zlib
from pathlib import Path

from mta.model.address import Address
from mta.model.envelope import Envelope, MessageId, Recipient

from mta.edge.spool.disk import Disk
from mta.edge.spool.folder import furnish
from mta.edge.spool.kept import Keep, Kept
from mta.edge.spool.survey import WAITING
from mta.edge.spool.waiting import Waiting

from tests.bench.servers import RECIPIENT, SENDER

OCTETS = 1024  # of a content
DAY = 86_400.0


class HastyDisk(Disk):
    """Syncs nothing: what is made here may be made again."""

    def sync(self, file: int) -> None:
        """See above."""

    def sync_folder(self, folder: Path) -> None:
        """See above."""


def fill(folder: Path, count: int) -> None:
    """Make a spool with `count` messages in files, none of them due before tomorrow."""
    disk = HastyDisk()
    waiting = Waiting(folder / WAITING, disk)
    disk.make_folder(folder)
    furnish(folder, disk, waiting, Kept(folder, disk, Keep()))
    content = b"Subject: queued\r\n\r\n".ljust(OCTETS - 2, b"x") + b"\r\n"
    checksum, now = zlib.crc32(content), time.time()
    for number in range(count):
        next_at = now + DAY * (1 + number / count)
        waiting.put(envelope(number, now=now, next_at=next_at), content, checksum)
    os.sync()  # or the disk would be busy with it while we measure


def envelope(number: int, *, now: float, next_at: float) -> Envelope:
    """One of them."""
    recipient = Recipient(_address(RECIPIENT), next_at=next_at)
    id = MessageId(f"queued{number}")
    return Envelope(id, _address(SENDER), (recipient,), now, OCTETS)


def _address(text: str) -> Address:
    local, _, domain = text.partition("@")
    return Address(local, domain)
