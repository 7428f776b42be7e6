"""The contract of the Spool port, over every spool."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from mta.model.envelope import State

from mta.flow.ports import Spool

from mta.edge.spool import FileSpool

from tests.edge.spool_house import deferred, delivered, envelope_of, message_id
from tests.flow.memory_spool import MemorySpool

Opener = Callable[[], AbstractAsyncContextManager[Spool]]


def opener_of_memory(_: Path) -> Opener:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Spool]:
        yield MemorySpool()

    return opened


def opener_of_files(folder: Path) -> Opener:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Spool]:
        spool = FileSpool.open(folder / "spool", segment_size=1 << 16, large_size=5000)
        port: Spool = spool
        try:
            yield port
        finally:
            await spool.close()

    return opened


@pytest.fixture(params=[opener_of_memory, opener_of_files], ids=["memory", "files"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    opener: Opener = request.param(tmp_path)
    return opener


def with_spool(opened: Opener, scenario: Callable[[Spool], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(20), opened() as spool:
            await scenario(spool)

    asyncio.run(run())


@pytest.mark.parametrize("size", [0, 1, 4096, 70_000])
def test_a_message_comes_back_as_it_was(opened: Opener, size: int) -> None:
    async def scenario(spool: Spool) -> None:
        content = bytes(number % 256 for number in range(size))
        envelope = envelope_of("a", content)

        taken = await spool.add(envelope, content)

        assert taken
        assert list(spool.envelopes()) == [envelope]
        assert await spool.content(envelope.id) == content

    with_spool(opened, scenario)


def test_a_repeat_is_recognised_and_changes_nothing(opened: Opener) -> None:
    async def scenario(spool: Spool) -> None:
        await spool.add(envelope_of("a"), b"first")

        taken = await spool.add(envelope_of("a", accepted_at=5), b"second")

        assert not taken
        assert list(spool.envelopes()) == [envelope_of("a")]
        assert await spool.content(message_id("a")) == b"first"

    with_spool(opened, scenario)


def test_a_message_that_was_settled_lately_is_a_repeat(opened: Opener) -> None:
    async def scenario(spool: Spool) -> None:
        await spool.add(envelope_of("a"), b"first")
        await spool.remove(message_id("a"))

        taken = await spool.add(envelope_of("a"), b"first")

        assert not taken
        assert list(spool.envelopes()) == []

    with_spool(opened, scenario)


def test_the_new_state_of_recipients_is_kept_and_given_back(opened: Opener) -> None:
    async def scenario(spool: Spool) -> None:
        first = envelope_of("a")
        await spool.add(first, b"")
        bob, eve = first.recipients

        await spool.record(first.id, {0: delivered(bob)})
        given = await spool.record(first.id, {1: deferred(eve, 60.0)})

        assert given == first.with_recipients({0: delivered(bob), 1: deferred(eve, 60.0)})
        assert list(spool.envelopes()) == [given]
        assert [one.state for one in given.recipients] == [State.DELIVERED, State.WAITING]

    with_spool(opened, scenario)


def test_what_is_unknown_is_a_key_error_and_nothing_to_remove(opened: Opener) -> None:
    async def scenario(spool: Spool) -> None:
        with pytest.raises(KeyError):
            await spool.content(message_id("a"))
        with pytest.raises(KeyError):
            await spool.record(message_id("a"), {})
        await spool.remove(message_id("a"))

        assert await spool.add(envelope_of("a"), b"")

    with_spool(opened, scenario)


def test_a_removed_message_is_forgotten_and_no_other(opened: Opener) -> None:
    async def scenario(spool: Spool) -> None:
        await spool.add(envelope_of("a"), b"of a")
        await spool.add(envelope_of("b"), b"of b")

        await spool.remove(message_id("a"))

        assert list(spool.envelopes()) == [envelope_of("b")]
        assert await spool.content(message_id("b")) == b"of b"
        with pytest.raises(KeyError):
            await spool.content(message_id("a"))

    with_spool(opened, scenario)


def test_one_envelope_is_found_by_its_id_until_it_is_removed(opened: Opener) -> None:
    async def scenario(spool: Spool) -> None:
        await spool.add(envelope_of("a"), b"")

        assert spool.envelope(message_id("a")) == envelope_of("a")
        await spool.remove(message_id("a"))
        with pytest.raises(KeyError):
            spool.envelope(message_id("a"))

    with_spool(opened, scenario)


def test_envelopes_come_oldest_first(opened: Opener) -> None:
    async def scenario(spool: Spool) -> None:
        for id, accepted_at in ("c", 3.0), ("a", 1.0), ("b", 2.0):
            await spool.add(envelope_of(id, accepted_at=accepted_at), b"")

        ids = [envelope.id for envelope in spool.envelopes()]

        assert ids == ["a", "b", "c"]

    with_spool(opened, scenario)


def test_many_messages_at_once_are_all_taken(opened: Opener) -> None:
    async def scenario(spool: Spool) -> None:
        ids = [f"m{number}" for number in range(300)]

        taken = await asyncio.gather(*(spool.add(envelope_of(id), id.encode() * 100) for id in ids))

        assert all(taken)
        assert [await spool.content(message_id(id)) for id in ids] == [
            id.encode() * 100 for id in ids
        ]

    with_spool(opened, scenario)


def test_a_spool_with_room_has_no_objection(opened: Opener) -> None:
    async def scenario(spool: Spool) -> None:
        assert spool.objection(1000) is None

    with_spool(opened, scenario)
