"""What blocks, in threads: a few calls together, each with its own end."""

import asyncio
import threading

import pytest

from mta.edge.spool.threads import Threads

from tests.flow.house import story


@story
async def test_calls_of_one_round_share_a_thread_and_each_has_its_own_answer() -> None:
    threads = Threads()
    seen: list[str] = []

    def work(number: int) -> int:
        seen.append(threading.current_thread().name)
        if number == 3:
            raise KeyError(number)
        return number * 2

    together = threads.together(work)
    results = await asyncio.gather(*(together(n) for n in range(8)), return_exceptions=True)

    assert [result for result in results if isinstance(result, int)] == [0, 2, 4, 8, 10, 12, 14]
    assert isinstance(results[3], KeyError)
    assert len(set(seen)) == 1
    threads.end()


@story
async def test_one_that_is_slow_holds_up_few() -> None:
    threads = Threads()
    gate = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            gate.wait(10)
        return number

    together = threads.together(work)
    calls = [asyncio.create_task(together(number)) for number in range(32)]
    async with asyncio.timeout(5):
        await asyncio.gather(*calls[8:])
    gate.set()

    assert await asyncio.gather(*calls) == list(range(32))
    threads.end()


@story
async def test_a_caller_that_gives_up_costs_the_others_nothing() -> None:
    threads = Threads()
    gate = threading.Event()

    def work(number: int) -> int:
        gate.wait(10)
        return number

    together = threads.together(work)
    first, second = (asyncio.create_task(together(number)) for number in (1, 2))
    await asyncio.sleep(0.01)

    first.cancel()
    gate.set()

    assert await second == 2
    threads.end()


@story
async def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    threads = Threads(1)
    gate = threading.Event()
    done: list[int] = []

    def work(number: int) -> int:
        gate.wait(10)
        done.append(number)
        return number

    together = threads.together(work)
    first = asyncio.create_task(together(1))
    await asyncio.sleep(0)  # it is called for,
    await asyncio.sleep(0)  # and begun
    second, third = (asyncio.create_task(together(number)) for number in (2, 3))
    await asyncio.sleep(0)

    second.cancel()
    gate.set()

    assert (await first, await third) == (1, 3)
    assert done == [1, 3]
    threads.end()


@story
async def test_nobody_waits_for_threads_that_have_ended() -> None:
    threads = Threads()
    threads.end()
    together = threads.together(str)

    with pytest.raises(RuntimeError, match="shutdown"):
        await asyncio.wait_for(together(1), 5)


class PowerLoss(BaseException):
    """What no thread survives."""


@story
async def test_nobody_waits_for_a_thread_that_broke_off() -> None:
    threads = Threads()

    def work(number: int) -> int:
        raise PowerLoss

    together = threads.together(work)
    results = await asyncio.wait_for(
        asyncio.gather(together(1), together(2), return_exceptions=True), 5
    )

    assert [type(result) for result in results] == [PowerLoss, PowerLoss]
    threads.end()
