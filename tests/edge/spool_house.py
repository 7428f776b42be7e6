"""What the tests of the spool share: messages to store, and a spool on a disk in memory."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mta.model.address import Address
from mta.model.domain import Host
from mta.model.envelope import Envelope, MessageId, Recipient, State
from mta.model.outcome import Reply, Stage, broken, judge

from mta.edge.spool import FileSpool, Keep
from mta.edge.spool.disk import Disk

FOLDER = Path("/spool")
HOST = Host("mx.there.test", "192.0.2.1", 25)
LARGE_SIZE = 2000


def message_id(text: str) -> MessageId:
    return MessageId(text)


def envelope_of(id: str, content: bytes = b"", accepted_at: float = 0.0) -> Envelope:
    return Envelope(
        message_id(id),
        Address("ann", "here.test"),
        (Recipient(Address("bob", "there.test")), Recipient(Address("eve", "there.test"))),
        accepted_at,
        len(content),
    )


def deferred(recipient: Recipient, next_at: float) -> Recipient:
    last = broken(Stage.CONNECT, HOST, "no answer")
    return replace(recipient, attempts=recipient.attempts + 1, next_at=next_at, last=last)


def delivered(recipient: Recipient) -> Recipient:
    last = judge(Reply(250, "taken", 2, 0), Stage.CONTENT, HOST)
    return replace(recipient, state=State.DELIVERED, attempts=recipient.attempts + 1, last=last)


def reported(recipient: Recipient) -> Recipient:
    last = judge(Reply(550, "no such \udcff user", 1, 1), Stage.RECIPIENT, HOST)
    return replace(recipient, state=State.REPORTED, attempts=recipient.attempts + 1, last=last)


def spool_on(
    disk: Disk,
    clock: Callable[[], float] = lambda: 0.0,
    *,
    keep: Keep | None = None,
    patience: float = 1.0,
) -> FileSpool:
    return FileSpool.open(
        FOLDER,
        disk=disk,
        clock=clock,
        keep=keep or Keep(sent=0, failed=0),
        segment_size=4096,
        large_size=LARGE_SIZE,
        cache_size=1000,
        patience=patience,
        mark=b"\x01mark\xff\xfe\x00",
    )


def let_go(spool: FileSpool) -> None:
    """Leave no thread behind, whatever state the spool is in."""
    spool._journal.let_go()
    spool._threads.end()
