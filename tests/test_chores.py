"""Chores go on, whatever one of them meets."""

import asyncio
from contextlib import suppress

import pytest

from mta.wiring.chores import every


def test_a_bug_in_a_chore_costs_this_time_alone(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []
    is_done_again = asyncio.Event()

    async def sweep() -> None:
        done.append(len(done))
        if len(done) == 1:
            raise ValueError("a bug")
        is_done_again.set()

    async def scene() -> None:
        chore = asyncio.create_task(every(0.001, sweep, after_a_bug=0.001))
        async with asyncio.timeout(10):
            await is_done_again.wait()
        chore.cancel()
        with suppress(asyncio.CancelledError):
            await chore

    asyncio.run(scene())

    assert done[:2] == [0, 1]
    assert caplog.messages == ["sweep: a chore ended in a bug"]


def test_a_chore_that_begins_at_once_waits_for_nothing() -> None:
    async def scene() -> None:
        is_done = asyncio.Event()

        async def look() -> None:
            is_done.set()

        chore = asyncio.create_task(every(3600.0, look, at_once=True))
        async with asyncio.timeout(10):
            await is_done.wait()
        chore.cancel()
        with suppress(asyncio.CancelledError):
            await chore

    asyncio.run(scene())
