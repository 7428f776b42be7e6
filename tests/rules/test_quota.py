"""How much is allowed in an hour and a day, and when there is room again."""

import math

import pytest

from mta.model.user import NO_LIMIT, Allowance

from mta.rules.submission.quota import (
    DAY,
    EMPTY,
    HOUR,
    Account,
    Load,
    Shortage,
    charged,
    is_forgotten,
    shortage,
)

START = 1_800_000_000.0  # the beginning of an hour
MESSAGE = Load(messages=1)
TEN = {HOUR: Allowance(messages=10), DAY: NO_LIMIT}


def after(*moments: float) -> Account:
    """The account of who sent a message at each of these moments, in seconds from the start."""
    account = EMPTY
    for moment in moments:
        account = charged(account, MESSAGE, START + moment)
    return account


def test_an_empty_account_has_room() -> None:
    assert shortage(EMPTY, MESSAGE, TEN, START) is None


def test_there_is_room_up_to_the_limit_and_no_further() -> None:
    assert shortage(after(*range(9)), MESSAGE, TEN, START + 9) is None
    assert shortage(after(*range(10)), MESSAGE, TEN, START + 10) is not None


def test_what_is_not_limited_is_not_missed() -> None:
    account = after(*range(1000))

    assert shortage(account, Load(octets=10**9), TEN, START) is None
    assert shortage(account, MESSAGE, {HOUR: NO_LIMIT, DAY: NO_LIMIT}, START) is None


def test_a_burst_at_the_end_of_a_window_counts_in_the_next() -> None:
    account = after(*[HOUR - 1] * 10)

    assert shortage(account, MESSAGE, TEN, START + HOUR + 1) is not None


def test_after_two_windows_all_is_forgotten() -> None:
    account = after(*[HOUR - 1] * 10)

    assert shortage(account, Load(messages=10), TEN, START + 2 * HOUR) is None
    assert not is_forgotten(account, START + 2 * HOUR)  # the day still counts it
    assert is_forgotten(account, START + 3 * DAY)


@pytest.mark.parametrize("moments", [[0] * 10, [HOUR - 1] * 10, [*range(0, 3000, 300)]])
@pytest.mark.parametrize("more", [1, 3, 10])
def test_there_is_room_at_the_time_that_was_said_and_not_before(
    moments: list[float], more: int
) -> None:
    account, now, load = after(*moments), START + moments[-1] + 1, Load(messages=more)

    found = shortage(account, load, TEN, now)

    assert found is not None
    assert (found.kind, found.window) == ("messages", HOUR)
    assert shortage(account, load, TEN, now + found.seconds + 0.001) is None
    assert shortage(account, load, TEN, now + found.seconds - 1) is not None


def test_the_longest_shortage_is_said() -> None:
    account = charged(EMPTY, Load(0, 5, 50, 500), START)
    allowances = {
        HOUR: Allowance(messages=5, recipients=50, octets=500),
        DAY: Allowance(recipients=50),
    }

    found = shortage(account, Load(0, 1, 1, 1), allowances, START + 1)

    assert found is not None
    assert (found.kind, found.window) == ("recipients", DAY)


def test_what_is_more_than_the_limit_by_itself_has_no_time() -> None:
    assert shortage(EMPTY, Load(messages=11), TEN, START) == Shortage("messages", math.inf, HOUR)


def test_a_clock_that_is_set_back_forgets_nothing() -> None:
    account = after(*[10 * HOUR] * 10)

    assert shortage(account, MESSAGE, TEN, START) is not None
