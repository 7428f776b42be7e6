"""Time limits over one timer, on a clock that the test turns."""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any, cast

from mta.edge.smtpclient.watch import STEP, Watch


class Clock:
    """A loop of which nothing is there but the time and the timers."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.done = 0  # timers that went off
        self.timers: list[asyncio.TimerHandle] = []
        self._as_loop = cast(asyncio.AbstractEventLoop, self)

    def time(self) -> float:
        return self.now

    def get_debug(self) -> bool:
        return False

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self._as_loop, context)
        self.timers.append(timer)
        return timer

    def _timer_handle_cancelled(self, timer: asyncio.TimerHandle) -> None:
        self.timers.remove(timer)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer.when() <= end]:
            self.now = due[0].when()
            self.timers.remove(due[0])
            self.done += 1
            due[0]._run()
        self.now = end


def watch_on(clock: Clock) -> tuple[Watch, list[str]]:
    said: list[str] = []
    return Watch(cast(asyncio.AbstractEventLoop, clock), said.append), said


def test_a_limit_that_passes_is_told_once() -> None:
    clock = Clock()
    watch, said = watch_on(clock)
    watch.start(10, "gave no reply")

    clock.advance(9.9)
    in_time = list(said)
    clock.advance(0.1)
    clock.advance(100)

    assert in_time == []
    assert said == ["the peer gave no reply within 10 seconds"]
    assert not watch.is_on


def test_a_limit_that_was_kept_is_not_told() -> None:
    clock = Clock()
    watch, said = watch_on(clock)
    watch.start(10, "gave no reply")

    watch.stop()
    clock.advance(100)

    assert said == []


def test_the_latest_limit_counts() -> None:
    clock = Clock()
    watch, said = watch_on(clock)
    watch.start(10, "gave no reply")
    clock.advance(6)

    watch.start(10, "took nothing")
    clock.advance(9)
    in_time = list(said)
    clock.advance(1)

    assert in_time == []
    assert said == ["the peer took nothing within 10 seconds"]


def test_a_shorter_limit_counts_from_its_own_start() -> None:
    clock = Clock()
    watch, said = watch_on(clock)
    watch.start(300, "gave no reply")
    clock.advance(1)

    watch.start(5, "gave no reply")
    clock.advance(5)

    assert said == ["the peer gave no reply within 5 seconds"]


def test_a_timer_serves_many_limits() -> None:
    clock = Clock()
    watch, said = watch_on(clock)

    for _ in range(100):
        watch.start(300, "gave no reply")
        watch.start(STEP, "gave no reply")
        watch.stop()
        clock.advance(STEP / 100)

    assert len(clock.timers) + clock.done <= 2
    assert said == []


def test_no_timer_is_set_while_nothing_is_waited_for() -> None:
    clock = Clock()
    watch, _ = watch_on(clock)
    watch.start(300, "gave no reply")

    watch.stop()
    clock.advance(STEP)

    assert clock.timers == []


def test_a_limit_after_one_that_was_kept_is_told() -> None:
    clock = Clock()
    watch, said = watch_on(clock)
    watch.start(10, "gave no reply")
    watch.stop()
    clock.advance(100)

    watch.start(10, "gave no reply")
    clock.advance(10)

    assert len(said) == 1


def test_no_timer_outlives_the_connection() -> None:
    clock = Clock()
    watch, _ = watch_on(clock)
    watch.start(300, "gave no reply")

    watch.close()
    watch.close()

    assert clock.timers == []
    assert not watch.is_on


def test_all_limits_together_have_one_end() -> None:
    clock = Clock()
    watch, said = watch_on(clock)
    watch.bound(25)
    for _ in range(2):
        watch.start(10, "gave no reply")
        clock.advance(9)
    watch.start(10, "gave no reply")

    clock.advance(6.9)
    in_time = list(said)
    clock.advance(0.1)

    assert in_time == []
    assert said == ["the peer took longer than 25 seconds for one message"]


def test_an_end_that_is_taken_back_ends_nothing() -> None:
    clock = Clock()
    watch, said = watch_on(clock)
    watch.bound(5)
    watch.bound(inf)

    watch.start(10, "gave no reply")
    clock.advance(9.9)
    assert said == []
    clock.advance(0.1)

    assert said == ["the peer gave no reply within 10 seconds"]
