"""A spool with many messages that wait for later, made quickly by the spool's own code."""

import asyncio
import os
import time
import zlib
from pathlib import Path

from mta.model.address import Address
from mta.model.envelope import Envelope, MessageId, Recipient

from mta.edge.spool.disk import Disk
from mta.edge.spool.files import FileSpool
from mta.edge.spool.survey import WAITING
from mta.edge.spool.waiting import Waiting

from tests.bench.servers import RECIPIENT, SENDER

OCTETS = 1024  # of a content
BATCH = 100  # files that are written together
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
    asyncio.run(FileSpool.open(folder, disk=disk).close())
    waiting = Waiting(folder / WAITING, disk)
    content = b"Subject: queued\r\n\r\n".ljust(OCTETS - 2, b"x") + b"\r\n"
    checksum, now = zlib.crc32(content), time.time()
    for start in range(0, count, BATCH):
        batch = (
            envelope(number, now=now, next_at=now + DAY * (1 + number / count))
            for number in range(start, min(start + BATCH, count))
        )
        for _ in waiting.put(waiting.message(one, content, checksum) for one in batch):
            pass
    os.sync()  # or the disk would be busy with it while we measure


def envelope(number: int, *, now: float, next_at: float) -> Envelope:
    """One of them."""
    recipient = Recipient(_address(RECIPIENT), next_at=next_at)
    id = MessageId(f"queued{number}")
    return Envelope(id, _address(SENDER), (recipient,), now, OCTETS)


def _address(text: str) -> Address:
    local, _, domain = text.partition("@")
    return Address(local, domain)
