"""When a message is tried again, and when no more."""

from collections.abc import Iterator
from itertools import pairwise
from random import Random

import pytest

from mta.rules.delivery.retry import AMBIGUOUS_DELAY, JITTER, RetryPlan, next_attempt

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
PLAN = RetryPlan((1 * MINUTE, 5 * MINUTE, 15 * MINUTE, 1 * HOUR), give_up_after=1 * DAY)
STANDARD = RetryPlan(
    (1 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, 1 * HOUR, 4 * HOUR, 8 * HOUR), 5 * DAY
)


def wait(
    attempts: int,
    *,
    chance: float = 0.5,
    age: float = 0.0,
    may_have_arrived: bool = False,
    plan: RetryPlan = PLAN,
) -> float | None:
    """Seconds from now to the next attempt on a message of this age."""
    at = next_attempt(
        plan,
        attempts=attempts,
        ends_at=1_000.0 + plan.give_up_after,
        now=1_000.0 + age,
        chance=chance,
        may_have_arrived=may_have_arrived,
    )
    return None if at is None else at - 1_000.0 - age


def attempts_of(plan: RetryPlan, random: Random) -> Iterator[float]:
    """The age of a message at each of its attempts, where all of them fail at once."""
    now: float | None = 0.0
    attempts = 0
    while now is not None:
        yield now
        attempts += 1
        now = next_attempt(
            plan, attempts=attempts, ends_at=plan.give_up_after, now=now, chance=random.random()
        )


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [
        (1, 1 * MINUTE),
        (2, 5 * MINUTE),
        (3, 15 * MINUTE),
        (4, 1 * HOUR),
        (5, 1 * HOUR),  # the last one again and again
        (1_000, 1 * HOUR),
    ],
)
def test_the_wait_grows_with_the_attempts(attempts: int, seconds: float) -> None:
    assert wait(attempts) == pytest.approx(seconds)
    assert PLAN.delay_after(attempts) == seconds


@pytest.mark.parametrize(("chance", "part"), [(0.0, 1 - JITTER), (0.5, 1.0), (1.0, 1 + JITTER)])
def test_chance_spreads_what_failed_together(chance: float, part: float) -> None:
    assert wait(4, chance=chance) == pytest.approx(HOUR * part)


@pytest.mark.parametrize(
    ("age", "seconds"),
    [
        (DAY - 2 * HOUR, HOUR),
        (DAY - 30 * MINUTE, 30 * MINUTE),  # the last attempt falls on the end
        (DAY - 1, 1.0),
        (DAY, None),
        (DAY + 1, None),
        (10 * DAY, None),
    ],
)
def test_the_end_is_kept_and_has_an_attempt_of_its_own(age: float, seconds: float | None) -> None:
    assert wait(9, age=age) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("attempts", "age", "seconds"),
    [
        (1, 0.0, AMBIGUOUS_DELAY),
        (4, 0.0, HOUR),
        (1, DAY - 30.0, AMBIGUOUS_DELAY),  # even past the end
        (1, DAY, None),
    ],
)
def test_a_peer_that_may_have_the_message_is_left_time(
    attempts: int, age: float, seconds: float | None
) -> None:
    after = wait(attempts, age=age, may_have_arrived=True)

    assert after == (None if seconds is None else pytest.approx(seconds))


def test_a_plan_shorter_than_its_first_delay_has_two_attempts() -> None:
    plan = RetryPlan((1 * HOUR,), give_up_after=10 * MINUTE)

    assert list(attempts_of(plan, Random(1))) == [0.0, 10 * MINUTE]


@pytest.mark.parametrize("seed", range(20))
def test_five_days_are_tried_to_their_end_and_not_beyond(seed: int) -> None:
    ages = list(attempts_of(STANDARD, Random(seed)))

    waits = [later - earlier for earlier, later in pairwise(ages)]
    assert 19 <= len(ages) <= 26
    assert ages[-1] == 5 * DAY
    for attempts, seconds in enumerate(waits[:-1], 1):
        planned = STANDARD.delay_after(attempts)
        assert planned * (1 - JITTER) <= seconds <= planned * (1 + JITTER)
