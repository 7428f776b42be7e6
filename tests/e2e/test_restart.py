"""A restart with a long queue: how soon it listens, and that memory is not a matter of size."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mta.model.address import Address
from mta.model.envelope import Envelope, MessageId, Recipient

from mta.edge.spool.files import FileSpool
from mta.edge.spool.inspection import inspect

from mta.sandbox.process import ServerProcess
from tests.e2e.sink import Sink

QUEUED = 10_000
KIB = 1024
DAY = 86_400.0
SENDER = Address("ann", "app.test")


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(("app.test", "one.test"), seed=1) as sink:
        yield sink


def fill(folder: Path, size: int, *, is_retired: bool) -> None:
    """Queue messages of `size` octets that are due tomorrow; retired ones stand in files."""
    now = time.time()
    content = b"Subject: queued\r\n\r\n".ljust(size - 2, b"x") + b"\r\n"

    async def queue() -> None:
        spool = FileSpool.open(folder)
        for start in range(0, QUEUED, 100):
            await asyncio.gather(*(spool.add(_envelope(start + n), content) for n in range(100)))
        if is_retired:
            await spool.retire_due(now + DAY)
        await spool.close()

    def _envelope(number: int) -> Envelope:
        recipient = Recipient(Address(f"user{number}", "one.test"), next_at=now + DAY)
        return Envelope(MessageId(f"queued{number}"), SENDER, (recipient,), now, size)

    asyncio.run(queue())


def proportional_set_size(process: int) -> int:
    """A process's memory in KiB; what it shares with others counts by its part."""
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError("expected a line Pss: in smaps_rollup")


def restart(sink: Sink, folder: Path) -> tuple[float, int]:
    """Start the server on a folder's spool; gives the seconds until it listens, and its KiB."""
    folder.mkdir(exist_ok=True)
    with closing(ServerProcess(sink.settings(folder / "spool"), folder)) as server:
        began = time.monotonic()
        server.start(within=60)
        seconds = time.monotonic() - began
        memory = proportional_set_size(server._running.pid)
        assert server.stop() == 0
    return seconds, memory


def test_it_listens_again_with_ten_thousand_messages_queued(sink: Sink, tmp_path: Path) -> None:
    fill(tmp_path / "spool", KIB, is_retired=False)

    seconds, _ = restart(sink, tmp_path)

    print(f"\nlistens after {seconds:.2f} s")
    assert len(inspect(tmp_path / "spool")) == QUEUED


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("is_retired", [False, True], ids=["in the journal", "in files"])
def test_the_memory_of_a_queue_does_not_depend_on_the_size_of_its_messages(
    sink: Sink, tmp_path: Path, is_retired: bool
) -> None:
    _, empty = restart(sink, tmp_path / "empty")
    memory = {}
    for size in (KIB, 50 * KIB):
        folder = tmp_path / str(size)
        folder.mkdir()
        fill(folder / "spool", size, is_retired=is_retired)
        seconds, memory[size] = restart(sink, folder)
        print(f"\n{QUEUED} messages of {size} octets: {seconds:.2f} s, {memory[size]} KiB")

    print(f"an empty queue: {empty} KiB")
    assert memory[50 * KIB] < 1.5 * memory[KIB]
