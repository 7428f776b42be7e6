"""A site's pace: more with each success, less at the first complaint, and back again."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.rules.pacing.limits import SiteLimits
from mta.rules.pacing.pace import (
    LONGEST_PAUSE,
    LOWEST_RATE,
    PAUSE_FOR,
    REACTION,
    SLOW_FOR,
    Pace,
    Why,
    after_complaint,
    after_no_connection,
    after_pause,
    after_success,
    as_of,
    first_pace,
)

NOW = 1_800_000_000.0
LIMITS = SiteLimits(connections=10, messages=50)
WHY = Why("yahoo-tss04", "[TSS04] Messages temporarily deferred")


def slowed(pace: Pace, now: float = NOW, *, measured: float = 1.0, seconds: float = 600.0) -> Pace:
    return after_complaint(pace, why=WHY, seconds=seconds, measured=measured, now=now)


def shut(pace: Pace, now: float = NOW, *, measured: float = 1.0, seconds: float = 7200.0) -> Pace:
    return after_pause(pace, why=WHY, seconds=seconds, measured=measured, now=now)


def test_a_site_that_nobody_knows_is_met_with_few_connections() -> None:
    assert first_pace(LIMITS).window == 5
    assert first_pace(SiteLimits(connections=3, messages=50)).window == 3


def test_each_success_allows_one_more_connection_until_there_was_trouble() -> None:
    pace = after_success(first_pace(LIMITS), LIMITS, 3, NOW)

    assert pace.window == 8
    assert after_success(pace, LIMITS, 100, NOW).window == 10


def test_after_trouble_a_whole_round_of_successes_allows_one_more() -> None:
    pace = after_no_connection(Pace(8.0), NOW)
    assert pace.window == 4

    for _ in range(4):
        pace = after_success(pace, LIMITS, 1, NOW)

    assert 4.8 < pace.window < 5.1


def test_trouble_halves_the_connections_and_leaves_one_at_least() -> None:
    pace, now = Pace(8.0), NOW
    windows = []

    for _ in range(5):
        pace = after_no_connection(pace, now)
        windows.append(pace.window)
        now += REACTION

    assert windows == [4, 2, 1, 1, 1]


@pytest.mark.parametrize("step", [slowed, lambda pace, now: after_no_connection(pace, now)])
def test_what_was_under_way_together_counts_once(step: Callable[[Pace, float], Pace]) -> None:
    once = step(Pace(8.0), NOW)

    assert step(once, NOW + 1) == once
    assert step(once, NOW + REACTION) != once


def test_a_complaint_halves_the_rate_that_was_measured_for_a_time() -> None:
    pace = slowed(Pace(8.0), measured=2.0, seconds=1200)

    assert pace.rate == 1.0
    assert pace.until == NOW + 1200
    assert pace.window == 4
    assert pace.why == WHY
    assert not pace.is_free


def test_nobody_says_for_how_long() -> None:
    assert slowed(Pace(8.0), seconds=0).until == NOW + SLOW_FOR
    assert shut(Pace(8.0), seconds=0).until == NOW + PAUSE_FOR


def test_the_rate_doubles_until_it_is_what_it_was_and_then_is_forgotten() -> None:
    pace = slowed(slowed(Pace(8.0), measured=2.0), NOW + REACTION)
    rates = []
    now = NOW

    while not pace.is_free:
        rates.append(pace.rate)
        now = pace.until
        assert as_of(pace, now - 1) == pace
        pace = as_of(pace, now)

    assert rates == [0.5, 1.0]
    assert pace.window == 2
    assert pace.has_met_trouble


def test_the_rate_never_falls_below_one_message_a_minute_and_then_the_site_is_shut() -> None:
    pace, now = slowed(Pace(8.0), measured=0.0), NOW
    assert pace.rate == LOWEST_RATE

    now += REACTION
    pace = slowed(pace, now)

    assert pace.is_shut
    assert pace.until == now + 600


def test_a_site_that_wants_to_be_left_alone_is_shut_then_probed_then_met_slowly() -> None:
    pace = shut(Pace(8.0), measured=0.8)
    assert pace.is_shut
    assert as_of(pace, NOW + 7199) == pace

    probing = as_of(pace, NOW + 7200)
    assert probing.is_probing
    assert not probing.is_shut
    assert probing.window == 1
    assert as_of(probing, NOW + 10_000) == probing

    well = after_success(probing, LIMITS, 1, NOW + 7300)
    assert not well.is_probing
    assert well.rate == pytest.approx(0.1)
    assert well.until == NOW + 7300 + SLOW_FOR


@pytest.mark.parametrize("step", [slowed, shut])
def test_trouble_of_a_site_that_is_probed_shuts_it_for_longer(
    step: Callable[[Pace, float], Pace],
) -> None:
    pace, now = shut(Pace(8.0), seconds=1800), NOW
    lengths = [pace.until - now]

    for _ in range(5):
        now = pace.until
        pace = step(as_of(pace, now), now)
        assert pace.is_shut
        lengths.append(pace.until - now)

    assert lengths == sorted(lengths)
    assert lengths[-1] <= LONGEST_PAUSE


def test_a_pause_that_was_asked_for_is_kept_however_long() -> None:
    assert shut(Pace(8.0), seconds=24 * 3600).until == NOW + 24 * 3600


def test_what_was_under_way_when_a_site_was_shut_changes_nothing() -> None:
    pace = shut(Pace(8.0))

    assert after_success(pace, LIMITS, 10, NOW + 1) == pace
    assert slowed(pace, NOW + 60) == pace
    assert shut(pace, NOW + 60) == pace


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["success", "lost", "slow", "pause", "time"]),
            st.floats(0, 20_000),
            st.floats(0, 100),
        ),
        max_size=60,
    )
)
def test_whatever_comes_a_pace_stays_in_its_bounds_and_no_site_is_shut_for_ever(
    moves: list[tuple[str, float, float]],
) -> None:
    pace, now = first_pace(LIMITS), NOW
    for move, seconds, measured in moves:
        now += seconds
        pace = as_of(pace, now)
        if move == "success":
            pace = after_success(pace, LIMITS, int(measured), now)
        elif move == "lost":
            pace = after_no_connection(pace, now)
        elif move == "slow":
            pace = slowed(pace, now, measured=measured)
        elif move == "pause":
            pace = shut(pace, now, measured=measured)
        assert 1 <= pace.window <= LIMITS.connections
        assert pace.rate == 0 or pace.rate >= LOWEST_RATE
        assert not (pace.is_shut and pace.is_probing)
        assert pace.until <= now + max(LONGEST_PAUSE, 7200)

    for _ in range(40):  # all goes well from now on
        now += LONGEST_PAUSE
        pace = after_success(as_of(pace, now), LIMITS, 10, now)
    assert pace.is_free
    assert pace.window == LIMITS.connections
