"""The spool on files: what stands where, who shares a sync, and what becomes of damage."""

import asyncio
import errno
import os
import stat
import threading
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mta.model.envelope import State
from mta.model.request import MessageRequest
from mta.model.trouble import SpoolError, SpoolFull

from mta.edge.spool import FileSpool, Keep, Watermarks, inspect, read_content
from mta.edge.spool.disk import Room
from mta.edge.spool.journal.records import Kind, read
from mta.edge.spool.lines import read_changes

from tests.edge.fake_disk import Fault, MemoryDisk
from tests.edge.spool_house import (
    FOLDER,
    LARGE_SIZE,
    deferred,
    delivered,
    envelope_of,
    let_go,
    message_id,
    reported,
    spool_on,
)

A = message_id("a")


def run(scenario: Awaitable[None], limit: float = 20.0) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(limit):
            await scenario

    asyncio.run(bounded())


def opened(folder: Path, **settings: object) -> FileSpool:
    settings = {"segment_size": 1 << 16, "large_size": LARGE_SIZE, "clock": lambda: 0.0} | settings
    return FileSpool.open(folder, **settings)  # type: ignore[arg-type]  # each test knows its own


def files(folder: Path) -> list[str]:
    """All files but the lock, by their paths."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return sorted(str(path.relative_to(folder)) for path in found)


def kinds(folder: Path) -> list[str]:
    """The folder of each file, and its suffix."""
    return [f"{Path(file).parts[0]}{Path(file).suffix}" for file in files(folder)]


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o777])
def test_nobody_else_may_look_into_it_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    async def scenario() -> None:
        with umask(mask):
            spool = opened(tmp_path / "spool", keep=Keep(sent=9, failed=9))
            await spool.add(envelope_of("a"), b"small")
            await spool.add(envelope_of("b"), b"l" * LARGE_SIZE)
            await spool.record(A, {0: delivered(envelope_of("a").recipients[0])})
            await spool.retire_due(100.0)
            await spool.record(A, {1: delivered(envelope_of("a").recipients[1])})
            await spool.retire_due(200.0)
            await spool.remove(message_id("b"))
            await spool.close()

    run(scenario())

    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o711  # the way to the drop folder
    for path in (tmp_path / "spool").rglob("*"):
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_a_folder_that_holds_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    (folder / "notes.txt").touch()

    with pytest.raises(SpoolError, match=r"for the spool alone at .*, found notes\.txt in it"):
        opened(folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert files(folder) == ["notes.txt"]


def test_a_disk_of_its_own_may_hold_what_a_new_disk_holds(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / ".keep").touch()

    run(opened(tmp_path).close())


def test_a_second_process_is_kept_out_and_told_who_is_in(tmp_path: Path) -> None:
    async def scenario() -> None:
        spool = opened(tmp_path / "spool")
        try:
            with pytest.raises(SpoolError, match=rf"in use by process {os.getpid()};"):
                opened(tmp_path / "spool")
        finally:
            await spool.close()
        await opened(tmp_path / "spool").close()

    run(scenario())


def test_a_folder_that_cannot_be_made_is_a_spool_error(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="cannot be opened"):
        opened(tmp_path / "missing" / "spool")


def test_a_message_delivered_at_once_is_two_appends_and_one_sync() -> None:
    disk = MemoryDisk()

    async def scenario() -> None:
        spool = spool_on(disk)
        await spool.add(envelope_of("first"), b"opens the segment")
        disk.calls = []
        await spool.add(envelope_of("a"), b"content")
        places = enumerate(spool.envelope(A).recipients)
        await spool.record(A, {place: delivered(recipient) for place, recipient in places})
        await spool.remove(A)

        assert disk.calls == ["write", "sync", "write"]

        await spool.close()

    run(scenario())


class GatedDisk(MemoryDisk):
    """Each sync waits to be let through."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)

    def sync(self, file: int) -> None:
        self.arrived.release()
        assert self.gate.acquire(timeout=10)
        super().sync(file)


def test_who_comes_during_a_sync_shares_the_next_one() -> None:
    disk = GatedDisk()

    async def scenario() -> None:
        spool = spool_on(disk)
        first = asyncio.create_task(spool.add(envelope_of("a"), b"alone"))
        await asyncio.to_thread(disk.arrived.acquire, timeout=10)
        others = [
            asyncio.create_task(spool.add(envelope_of(f"b{number}"), b"together"))
            for number in range(20)
        ]
        await asyncio.sleep(0)  # all of them have asked
        disk.gate.release()
        await first
        await asyncio.to_thread(disk.arrived.acquire, timeout=10)

        assert not any(other.done() for other in others)

        disk.gate.release()
        assert all(await asyncio.gather(*others))
        assert disk.calls.count("sync") == 2
        await spool.close()

    run(scenario())


def test_a_message_whose_caller_was_cancelled_is_ours_once_it_is_synced() -> None:
    disk = GatedDisk()

    async def scenario() -> None:
        spool = spool_on(disk)
        task = asyncio.create_task(spool.add(envelope_of("a"), b"content"))
        await asyncio.to_thread(disk.arrived.acquire, timeout=10)
        task.cancel()
        disk.gate.release(9)
        await asyncio.wait([task])
        await spool.add(envelope_of("b"), b"after it")

        assert task.cancelled()
        assert [envelope.id for envelope in spool.envelopes()] == ["a", "b"]
        await spool.close()

    run(scenario())


class WatchedDisk(MemoryDisk):
    """Notes the thread of each write, which takes as long as it is told to."""

    seconds = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[str] = []

    def write(self, file: int, buffers: Sequence[bytes | memoryview]) -> int:
        self.threads.append(threading.current_thread().name)
        time.sleep(self.seconds)
        return super().write(file, buffers)


def test_what_needs_no_sync_is_written_without_a_thread_unless_the_disk_is_slow() -> None:
    disk = WatchedDisk()

    async def scenario() -> None:
        spool = spool_on(disk)
        bob = envelope_of("a").recipients[0]
        await spool.add(envelope_of("a"), b"")
        disk.threads = []
        for disk.seconds in (0.0, 0.01, 0.0):
            await spool.record(A, {0: deferred(bob, 1.0)})
        await spool.add(envelope_of("b"), b"")
        here = threading.current_thread().name

        assert disk.threads == [here, here, "spool-journal", "spool-journal"]

        await spool.close()

    run(scenario())


def test_records_are_written_in_the_order_of_their_calls_whoever_writes_them() -> None:
    disk = MemoryDisk()

    async def scenario() -> None:
        spool = spool_on(disk)
        bob = envelope_of("a").recipients[0]
        await spool.add(envelope_of("a"), b"")
        await asyncio.gather(
            spool.record(A, {0: deferred(bob, 1.0)}),
            spool.add(envelope_of("b"), b""),
            spool.record(A, {0: deferred(bob, 2.0)}),
            spool.record(A, {0: deferred(bob, 3.0)}),
        )
        await spool.record(A, {0: deferred(bob, 4.0)})
        await spool.close()

    run(scenario())

    reading = read(disk.read(FOLDER / "journal" / "00000001.seg"))
    assert [record.kind.name for record in reading.records] == [
        *("ACCEPT", "RESULT", "ACCEPT", "RESULT", "RESULT", "RESULT")
    ]
    assert [
        read_changes(record.meta)[0].next_at
        for record in reading.records
        if record.kind is Kind.RESULT
    ] == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("kind", ["EIO", "ENOSPC", "short"])
def test_a_result_that_fails_to_be_written_is_written_in_another_segment(kind: str) -> None:
    disk = MemoryDisk()

    async def scenario() -> None:
        spool = spool_on(disk)
        await spool.add(envelope_of("a"), b"")
        disk.fault = Fault(kind, len(disk.calls) + 1)
        state = await spool.record(A, {0: delivered(envelope_of("a").recipients[0])})
        let_go(spool)
        if kind == "short":
            disk.restart()
        else:
            disk.lose_power()
        spool = spool_on(disk)
        assert list(spool.envelopes()) == [state]
        let_go(spool)

    run(scenario())


def test_a_bug_of_the_writer_is_an_error_for_all_who_wait_and_the_next_are_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class BuggyDisk(MemoryDisk):
        def write(self, file: int, buffers: Sequence[bytes | memoryview]) -> int:
            if b"bug" in b"".join(buffers):
                raise RuntimeError("a bug")
            return super().write(file, buffers)

    async def scenario() -> None:
        spool = spool_on(BuggyDisk())
        await spool.add(envelope_of("a"), b"")
        with pytest.raises(SpoolError, match="writer failed"):
            await spool.add(envelope_of("b"), b"bug")
        during = spool.is_writable
        await spool.record(A, {0: delivered(envelope_of("a").recipients[0])})
        assert (during, spool.is_writable) == (False, True)
        assert await spool.add(envelope_of("c"), b"")
        assert [one.id for one in spool.envelopes()] == ["a", "c"]
        await spool.close()

    run(scenario())

    assert "the journal's writer failed" in caplog.text


def test_an_idle_journal_is_synced_by_the_next_step_and_only_once() -> None:
    disk = MemoryDisk()

    async def scenario() -> None:
        spool = spool_on(disk)
        await spool.add(envelope_of("a"), b"")
        await spool.record(A, {0: delivered(envelope_of("a").recipients[0])})
        before = disk.calls.count("sync")
        await spool.retire_due(1.0)
        await spool.retire_due(2.0)

        assert (before, disk.calls.count("sync")) == (1, 2)

        disk.lose_power()
        let_go(spool)
        spool = spool_on(disk)
        assert [one.recipients[0].attempts for one in spool.envelopes()] == [1]
        let_go(spool)

    run(scenario())


def test_what_is_unsettled_moves_to_waiting_when_its_segment_is_a_minute_old(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        folder = tmp_path / "spool"
        spool = opened(folder)
        first = envelope_of("a", b"content")
        await spool.add(first, b"content")
        state = await spool.record(A, {0: deferred(first.recipients[0], 60.0)})
        await spool.retire_due(59.0)
        assert kinds(folder) == ["journal.seg"]

        await spool.retire_due(60.0)

        assert kinds(folder) == ["waiting.msg"]
        (path,) = folder.glob("waiting/*/a.msg")
        assert path.read_bytes().endswith(b"}\ncontent")
        assert await spool.content(A) == b"content"
        assert list(spool.envelopes()) == [state]
        await spool.close()
        assert inspect(folder) == [state]

    run(scenario())


def test_what_an_earlier_try_left_is_not_in_the_way(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "spool"
        spool = opened(folder)
        await spool.add(envelope_of("a"), b"content")
        (folder / "waiting/43/a.msg.tmp").write_bytes(b"half")

        await spool.retire_due(60.0)

        assert kinds(folder) == ["waiting.msg"]
        assert await spool.content(A) == b"content"
        await spool.close()

    run(scenario())


def test_messages_that_move_together_are_written_before_the_first_is_synced() -> None:
    disk = MemoryDisk()

    async def scenario() -> None:
        spool = spool_on(disk)
        for id in "abc":
            await spool.add(envelope_of(id), b"content")
        disk.calls = []
        await spool.retire_due(60.0)
        await spool.close()

    run(scenario())

    moves = [call for call in disk.calls if call in ("create", "write_out", "sync", "rename")]
    assert moves == [
        *("create", "write_out", "create", "write_out", "create"),
        *("sync", "sync", "sync", "rename", "rename", "rename"),
    ]


def test_a_segment_grows_old_over_restarts_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "spool"
        spool = opened(folder, clock=time.time)
        await spool.add(envelope_of("a"), b"content")
        await spool.close()
        a_minute_later = time.time() + 60.0
        spool = opened(folder, clock=lambda: a_minute_later)

        await spool.retire_due(a_minute_later)

        assert kinds(folder) == ["waiting.msg"]
        await spool.close()

    run(scenario())


def test_a_later_state_of_a_waiting_message_stands_in_its_log(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "spool"
        spool = opened(folder)
        recipient = envelope_of("a").recipients[0]
        await spool.add(envelope_of("a"), b"content")
        await spool.retire_due(60.0)
        for number in range(3):
            state = await spool.record(A, {0: deferred(recipient, 100.0 * number)})
            await spool.retire_due(100.0)

            assert kinds(folder) == ["waiting.log", "waiting.msg"]
            assert inspect(folder) == [state]
        await spool.remove(A)
        await spool.retire_due(100.0)
        assert kinds(folder) == []
        await spool.close()

    run(scenario())


def test_a_segment_may_begin_with_a_result() -> None:
    async def scenario() -> None:
        spool = spool_on(MemoryDisk())
        await spool.add(envelope_of("a"), b"")
        await spool.retire_due(60.0)
        await spool.record(A, {0: delivered(envelope_of("a").recipients[0])})
        await spool.add(envelope_of("b"), b"content")
        spool._contents.drop(message_id("b"))

        assert await spool.content(message_id("b")) == b"content"

        await spool.close()

    run(scenario())


def test_a_segment_with_nothing_unsettled_is_deleted_at_once_when_it_is_full(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        folder = tmp_path / "spool"
        spool = opened(folder, segment_size=1000)
        for number in range(10):
            await spool.add(envelope_of(f"m{number}"), b"x" * 500)
            await spool.remove(message_id(f"m{number}"))
        full = len(files(folder))

        await spool.retire_due(0.0)

        assert full > 3
        assert len(files(folder)) == 1
        await spool.close()

    run(scenario())


def test_a_large_message_has_a_file_of_its_own_and_is_written_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "spool"
        content = b"large" * LARGE_SIZE
        spool = opened(folder, cache_size=0)
        await spool.add(envelope_of("a", content), content)
        (path,) = folder.glob("waiting/*/a.large")
        inode = path.stat().st_ino
        assert sum(one.stat().st_blocks for one in folder.glob("journal/*")) * 512 <= 1 << 16
        assert await spool.content(A) == content

        await spool.retire_due(60.0)

        assert kinds(folder) == ["waiting.large", "waiting.log"]
        assert path.stat().st_ino == inode
        await spool.close()
        spool = opened(folder)
        assert await spool.content(A) == content
        await spool.remove(A)
        await spool.retire_due(60.0)
        await spool.retire_due(120.0)
        assert kinds(folder) == []
        await spool.close()

    run(scenario())


class DisturbedDisk(MemoryDisk):
    """The first deletion waits to be let through."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = threading.Event()
        self.gate = threading.Event()

    def unlink(self, path: Path) -> None:
        if path.suffix == ".msg":
            self.arrived.set()
            assert self.gate.wait(10)
        super().unlink(path)


def test_a_file_is_deleted_before_the_only_record_that_says_it_is_settled() -> None:
    disk = DisturbedDisk()

    async def scenario() -> None:
        spool = spool_on(disk)
        for id in "ab":
            await spool.add(envelope_of(id), b"")
        await spool.retire_due(60.0)
        await spool.remove(message_id("b"))
        retiring = asyncio.create_task(spool.retire_due(120.0))
        await asyncio.to_thread(disk.arrived.wait, 10)
        await spool.remove(A)  # its DONE stands in the segment that is about to go
        disk.gate.set()
        await retiring
        let_go(spool)
        disk.lose_power()

        spool = spool_on(disk)

        assert disk.names(FOLDER / "journal") == []
        assert list(spool.envelopes()) == []
        let_go(spool)

    run(scenario())


@pytest.mark.parametrize("call", ["write", "sync", "rename", "sync_folder"])
def test_a_large_message_that_is_refused_gives_its_room_back(call: str) -> None:
    disk = MemoryDisk()

    async def scenario() -> None:
        spool = spool_on(disk)
        await spool.add(envelope_of("first"), b"")
        disk.calls = []
        await spool.add(envelope_of("b"), b"l" * LARGE_SIZE)
        disk.fault = Fault("ENOSPC", len(disk.calls) + disk.calls.index(call) + 1)

        with pytest.raises(SpoolFull):
            await spool.add(envelope_of("a"), b"l" * LARGE_SIZE)

        assert disk.names(FOLDER / "waiting" / "43") == []
        assert await spool.add(envelope_of("a"), b"l" * LARGE_SIZE)
        await spool.close()

    run(scenario())


@pytest.mark.parametrize("cache_size", [0, 100, 1 << 20])
def test_contents_come_from_memory_or_from_the_disk(tmp_path: Path, cache_size: int) -> None:
    async def scenario() -> None:
        spool = opened(tmp_path / "spool", cache_size=cache_size)
        for id in "abc":
            await spool.add(envelope_of(id), id.encode() * 60)

        assert [await spool.content(message_id(id)) for id in "abc"] == [
            id.encode() * 60 for id in "abc"
        ]
        held = sum(map(len, spool._contents._contents.values()))
        assert held == {0: 0, 100: 60, 1 << 20: 180}[cache_size]
        await spool.close()

    run(scenario())


def test_the_content_of_what_is_held_back_is_not_kept_in_memory(tmp_path: Path) -> None:
    async def scenario() -> None:
        spool = opened(tmp_path / "spool")
        held = replace(envelope_of("a"), request=MessageRequest(hold_until=60.0))
        await spool.add(held, b"a" * 60)

        assert not spool._contents._contents
        assert await spool.content(message_id("a")) == b"a" * 60
        await spool.close()

    run(scenario())


def test_the_content_of_what_is_put_off_makes_room_in_memory(tmp_path: Path) -> None:
    async def scenario() -> None:
        now = 1_000.0
        spool = opened(tmp_path / "spool", clock=lambda: now)
        for id in "abc":
            await spool.add(envelope_of(id), b"x" * 60)
        first = spool.envelope(message_id("a")).recipients[0]

        later, soon = (replace(first, next_at=now + seconds) for seconds in (60, 1))
        await spool.record(message_id("a"), {0: later, 1: later})
        await spool.record(message_id("b"), {0: later, 1: soon})
        await spool.record(message_id("c"), {0: later, 1: replace(first, state=State.FAILED)})

        assert sorted(spool._contents._contents) == ["b", "c"]
        assert await spool.content(message_id("a")) == b"x" * 60
        await spool.close()

    run(scenario())


def test_a_restart_finds_all_that_is_unsettled_wherever_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "spool"
        spool = opened(folder)
        await spool.add(envelope_of("a", accepted_at=1.0), b"waits")
        await spool.add(envelope_of("b", accepted_at=2.0), b"l" * LARGE_SIZE)
        await spool.retire_due(60.0)
        await spool.add(envelope_of("c", accepted_at=3.0), b"is new")
        await spool.add(envelope_of("d", accepted_at=4.0), b"m" * LARGE_SIZE)
        await spool.add(envelope_of("e", accepted_at=5.0), b"is settled")
        await spool.remove(message_id("e"))
        before = list(spool.envelopes())
        await spool.close()

        spool = opened(folder)

        assert list(spool.envelopes()) == before
        assert [one.id for one in before] == ["a", "b", "c", "d"]
        assert [await spool.content(one.id) for one in before] == [
            b"waits",
            b"l" * LARGE_SIZE,
            b"is new",
            b"m" * LARGE_SIZE,
        ]
        assert not await spool.add(envelope_of("e"), b"is settled")
        await spool.close()

    run(scenario())


def test_a_refused_message_may_come_again_after_a_restart() -> None:
    disk = MemoryDisk()

    async def scenario() -> None:
        spool = spool_on(disk)
        await spool.add(envelope_of("first"), b"")
        disk.fault = Fault("EIO", len(disk.calls) + 2)  # the sync of the next message
        with pytest.raises(SpoolError, match="planned at sync"):
            await spool.add(envelope_of("a"), b"content")
        assert spool.objection(1) is None
        let_go(spool)
        disk.restart()

        spool = spool_on(disk)

        assert [one.id for one in spool.envelopes()] == ["first"]
        assert await spool.add(envelope_of("a"), b"content")
        let_go(spool)

    run(scenario())


class UncutDisk(MemoryDisk):
    """Cannot cut a file until it is told that it can."""

    can_cut = False

    def truncate(self, file: int, size: int) -> None:
        if not self.can_cut:
            raise OSError(errno.EIO, "cannot be cut")
        super().truncate(file, size)


def test_a_refused_message_stays_refused_where_its_record_is_whole() -> None:
    disk = UncutDisk()

    async def scenario() -> None:
        spool = spool_on(disk)
        await spool.add(envelope_of("first"), b"")
        disk.fault = Fault("EIO", len(disk.calls) + 2)
        with pytest.raises(SpoolError, match="planned at sync"):
            await spool.add(envelope_of("a"), b"content")
        let_go(spool)
        disk.restart()
        assert b"content" in disk.read(FOLDER / "journal" / "00000001.seg")
        disk.can_cut = True

        spool = spool_on(disk)

        assert [one.id for one in spool.envelopes()] == ["first"]
        let_go(spool)

    run(scenario())


def test_a_failed_sync_is_never_tried_again_on_the_same_file() -> None:
    disk = MemoryDisk()

    async def scenario() -> None:
        spool = spool_on(disk)
        await spool.add(envelope_of("a"), b"")
        await spool.record(A, {0: delivered(envelope_of("a").recipients[0])})
        disk.fault = Fault("EIO", len(disk.calls) + 2)
        with pytest.raises(SpoolError):
            await spool.add(envelope_of("b"), b"")
        disk.fault = None

        assert disk.names(FOLDER / "journal") == ["00000001.seg", "00000002.seg"]
        # What rode with the failed sync is on the platter all the same.
        disk.lose_power()
        let_go(spool)
        spool = spool_on(disk)
        assert [one.recipients[0].attempts for one in spool.envelopes()] == [1]
        let_go(spool)

    run(scenario())


def test_the_door_closes_while_the_disk_fails_and_opens_when_it_is_well_again() -> None:
    disk = MemoryDisk()

    async def scenario() -> None:
        spool = spool_on(disk)
        await spool.add(envelope_of("a"), b"")
        disk.fault = Fault("ENOSPC", len(disk.calls) + 1, lasts=True)
        with pytest.raises(SpoolFull):
            await spool.add(envelope_of("b"), b"")
        with pytest.raises(SpoolFull):
            await spool.add(envelope_of("b"), b"")
        with pytest.raises(SpoolError):
            await spool.remove(A)
        assert spool.objection(1) == "mail cannot be written to disk now"
        with pytest.raises(SpoolError):
            await spool.retire_due(1.0)

        disk.fault = None
        await spool.retire_due(1.0)

        assert spool.objection(1) is None
        assert await spool.add(envelope_of("b"), b"")
        assert [one.id for one in spool.envelopes()] == ["b"]
        let_go(spool)
        disk.restart()
        spool = spool_on(disk)
        assert [one.id for one in spool.envelopes()] == ["b"]
        let_go(spool)

    run(scenario())


def test_a_spool_can_write_unless_it_has_failed_to() -> None:
    disk = MemoryDisk()

    async def scenario() -> list[bool]:
        spool = spool_on(disk)
        before = spool.is_writable
        disk.fault = Fault("EIO", len(disk.calls) + 1, lasts=True)
        with pytest.raises(SpoolError):
            await spool.add(envelope_of("a"), b"")
        during = spool.is_writable
        disk.fault = None
        await spool.retire_due(1.0)
        after = spool.is_writable
        let_go(spool)
        return [before, during, after]

    assert asyncio.run(scenario()) == [True, False, True]


def test_trouble_of_the_journal_is_said_once_and_so_is_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = MemoryDisk()

    async def scenario() -> None:
        spool = spool_on(disk)
        disk.fault = Fault("ENOSPC", len(disk.calls) + 1, lasts=True)
        for _ in range(3):
            with pytest.raises(SpoolFull):
                await spool.add(envelope_of("a"), b"")
            with pytest.raises(SpoolError):
                await spool.retire_due(1.0)
        disk.fault = None
        await spool.retire_due(1.0)
        let_go(spool)

    run(scenario())

    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR", "WARNING"]
    assert "no mail is taken until it can" in caplog.text
    assert caplog.messages[-1] == "the journal can be written again"


def test_the_door_closes_below_the_low_mark_and_opens_above_the_high_one() -> None:
    disk = MemoryDisk()
    now = 0.0
    marks = Watermarks(bytes_low=100, bytes_high=200, inodes_low=10, inodes_high=20, messages=1)
    spool = FileSpool.open(FOLDER, disk=disk, clock=lambda: now, watermarks=marks)
    steps: list[tuple[Room, str | None]] = [
        (Room(100, 10), None),
        (Room(99, 10), "the disk is nearly full"),
        (Room(199, 20), "the disk is nearly full"),
        (Room(200, 19), "the disk is nearly full"),
        (Room(200, 20), None),
        (Room(200, 9), "the disk is nearly full"),
        (Room(200, None), None),
    ]

    for room, expected in steps:
        now += 1.0
        disk.free = room
        found = spool.objection(0)
        assert (found or "").startswith(expected or ""), (room, found)
        assert (found is None) == (expected is None), (room, found)

    disk.free = Room(0, 0)
    assert spool.objection(0) is None  # it has looked a moment ago
    assert str(spool.objection(101)).startswith("the disk has no room for 101 octets")
    asyncio.run(spool.add(envelope_of("a"), b""))
    assert spool.objection(0) == "the queue is full: 1 messages"
    let_go(spool)


def test_copies_are_kept_as_long_as_the_settings_say(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "spool"
        spool = opened(folder, keep=Keep(sent=10, failed=100), clock=lambda: 1000.0)
        for id in "ab":
            await spool.add(envelope_of(id), b"of " + id.encode())
        bob, eve = envelope_of("b").recipients
        await spool.record(message_id("b"), {0: delivered(bob), 1: reported(eve)})
        for id in "ab":
            await spool.remove(message_id(id))
        kept = [name for name in files(folder) if "journal" not in name]
        assert kept == ["failed/b.eml", "failed/b.json", "sent/a.eml", "sent/a.json"]
        assert (folder / "failed/b.eml").read_bytes() == b"of b"
        assert b"no such \\udcff user" in (folder / "failed/b.json").read_bytes()

        assert await spool.sweep(1009.0) == 0
        assert await spool.sweep(1010.0) == 2
        assert await spool.sweep(1099.0) == 0
        assert await spool.sweep(1100.0) == 2

        assert kinds(folder) == ["journal.seg"]
        await spool.close()

    run(scenario())


def test_a_copy_that_cannot_be_kept_does_not_keep_the_message(tmp_path: Path) -> None:
    async def scenario() -> None:
        spool = opened(tmp_path / "spool", keep=Keep(sent=10))
        await spool.add(envelope_of("a"), b"")
        (tmp_path / "spool" / "sent").rmdir()

        with pytest.raises(SpoolError, match="keeping a copy"):
            await spool.remove(A)

        await spool.close()
        assert inspect(tmp_path / "spool") == []

    run(scenario())


def spoil(path: Path, octets: bytes) -> None:
    """Change one octet within the first occurrence of these."""
    data = bytearray(path.read_bytes())
    at = data.index(octets)
    data[at] ^= 1
    path.write_bytes(data)


def test_a_record_damaged_in_the_middle_is_put_aside_and_the_rest_is_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "spool"
        spool = opened(folder)
        for id in "abc":
            await spool.add(envelope_of(id), b"content of " + id.encode())
        await spool.close()
        spoil(folder / "journal/00000001.seg", b"content of b")

        spool = opened(folder)

        assert [one.id for one in spool.envelopes()] == ["a", "c"]
        (octets,) = (folder / "quarantine").glob("*.bytes")
        (reason,) = (folder / "quarantine").glob("*.txt")
        assert b"bontent of b" in octets.read_bytes()
        assert "the checksum of the content is wrong, id b" in reason.read_text()
        await spool.close()

    run(scenario())


def test_a_torn_tail_is_ignored(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "spool"
        spool = opened(folder)
        for id in "ab":
            await spool.add(envelope_of(id), b"content of " + id.encode())
        await spool.close()
        segment = folder / "journal/00000001.seg"
        segment.write_bytes(segment.read_bytes()[:-3])

        spool = opened(folder)

        assert [one.id for one in spool.envelopes()] == ["a"]
        assert list((folder / "quarantine").iterdir()) == []
        await spool.close()

    run(scenario())


@pytest.mark.parametrize("octets", [b'"accepted_at"', b"\nconte"])
def test_a_damaged_waiting_file_is_never_given_out_as_good(tmp_path: Path, octets: bytes) -> None:
    async def scenario() -> None:
        folder = tmp_path / "spool"
        spool = opened(folder)
        await spool.add(envelope_of("a"), b"content")
        await spool.retire_due(60.0)
        await spool.close()
        (path,) = folder.glob("waiting/*/a.msg")
        data = path.read_bytes()
        at = data.index(octets) + 1
        path.write_bytes(data[:at] + b"?" + data[at + 1 :])

        spool = opened(folder)

        if octets.startswith(b"\n"):
            with pytest.raises(SpoolError, match="checksum"):
                await spool.content(A)
        else:
            assert list(spool.envelopes()) == []
            assert kinds(folder) == ["quarantine.msg", "quarantine.txt"]
        await spool.close()

    run(scenario())


def test_a_content_damaged_in_the_journal_is_a_spool_error_before_and_after_its_move(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        folder = tmp_path / "spool"
        spool = opened(folder, cache_size=0)
        await spool.add(envelope_of("a"), b"content")
        path = folder / "journal/00000001.seg"
        with path.open("r+b") as segment:
            segment.seek(path.read_bytes().index(b"content"))
            segment.write(b"C")

        with pytest.raises(SpoolError, match="checksum"):
            await spool.content(A)
        await spool.retire_due(60.0)
        with pytest.raises(SpoolError, match="checksum"):
            await spool.content(A)

        assert kinds(folder) == ["waiting.msg"]
        await spool.close()

    run(scenario())


def test_another_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    asyncio.run(opened(folder).close())
    (folder / "journal/00000001.seg").write_bytes(b"mta journal 2\n" + bytes(50))

    with pytest.raises(SpoolError, match="expected journal format 1, found 2"):
        opened(folder)

    assert kinds(folder) == ["journal.seg"]


def test_what_was_being_written_is_swept_at_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    asyncio.run(opened(folder).close())
    for name in (
        "waiting/4f/a.msg.tmp",
        "waiting/4f/b.large",
        "waiting/4f/c.log",
        "sent/d.eml.tmp",
    ):
        (folder / name).write_bytes(b"half")

    asyncio.run(opened(folder).close())

    assert files(folder) == []


def test_a_message_in_a_folder_that_is_not_its_own_is_put_aside(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "spool"
        spool = opened(folder)
        await spool.add(envelope_of("a"), b"content")
        await spool.retire_due(60.0)
        await spool.close()
        (path,) = folder.glob("waiting/*/a.msg")
        path.rename(folder / "waiting/00/a.msg")

        spool = opened(folder)

        assert list(spool.envelopes()) == []
        assert kinds(folder) == ["quarantine.msg", "quarantine.txt"]
        await spool.close()

    run(scenario())


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    asyncio.run(opened(folder).close())
    (tmp_path / "elsewhere").write_text("precious")
    (folder / "lock").unlink()
    (folder / "lock").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(SpoolError, match=os.strerror(errno.ELOOP)):
        opened(folder)

    assert (tmp_path / "elsewhere").read_text() == "precious"


def test_a_look_from_outside_needs_no_lock_and_changes_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "spool"
        spool = opened(folder)
        await spool.add(envelope_of("a", accepted_at=2.0), b"moves")
        await spool.add(envelope_of("b", accepted_at=1.0), b"l" * LARGE_SIZE)
        for now in (0.0, 60.0):
            await spool.retire_due(now)
            before = files(folder)

            assert inspect(folder) == list(spool.envelopes())
            assert read_content(folder, A) == b"moves"
            assert read_content(folder, message_id("b")) == b"l" * LARGE_SIZE
            assert files(folder) == before
        with pytest.raises(KeyError):
            read_content(folder, message_id("c"))
        await spool.close()

    run(scenario())


def test_a_look_into_what_is_no_spool_is_a_spool_error(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="cannot be read"):
        inspect(tmp_path)


@pytest.mark.parametrize("id", ["", "A", "../a", "a/b", "a.b", "ä"])
def test_an_id_that_is_no_name_of_a_file_is_refused(id: str) -> None:
    spool = spool_on(MemoryDisk())

    with pytest.raises(ValueError, match="expected an id"):
        asyncio.run(spool.add(envelope_of(id), b""))

    let_go(spool)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_thousand_queued_messages_are_found_quickly(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "spool"
        content = b"x" * 4096
        spool = FileSpool.open(folder)
        await asyncio.gather(
            *(spool.add(envelope_of(f"m{number}", content), content) for number in range(10_000))
        )
        for where in ("journal", "waiting"):
            await spool.close()
            started_at = time.perf_counter()
            spool = FileSpool.open(folder)
            print(f"\n10,000 in {where}: {time.perf_counter() - started_at:.2f} s")

            assert len(list(spool.envelopes())) == 10_000
            started_at = time.perf_counter()
            await spool.retire_due(time.time() + 60.0)
            print(f"retired in {time.perf_counter() - started_at:.2f} s")
        await spool.close()

    run(scenario(), limit=280.0)
