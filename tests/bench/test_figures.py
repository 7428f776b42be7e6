"""Medians and ratios."""

import math

import pytest

from tests.bench.figures import Metric, Spread, percentile, ratio, spread, values_of


def test_a_ratio_is_the_median_of_the_pairs_not_the_ratio_of_medians() -> None:
    ours = [{"cpu": 1.0}, {"cpu": 8.0}, {"cpu": 9.0}]
    theirs = [{"cpu": 1.0}, {"cpu": 2.0}, {"cpu": 3.0}]

    assert ratio(ours, theirs, "cpu") == 3.0


def test_a_run_that_failed_takes_its_partner_with_it() -> None:
    ours = [{"cpu": 2.0}, None, {"cpu": 2.0}]
    theirs = [{"cpu": 1.0}, {"cpu": 100.0}, {"cpu": 1.0}]

    assert ratio(ours, theirs, "cpu") == 2.0


@pytest.mark.parametrize("theirs", [[], [None], [{}], [{"cpu": 0.0}]])
def test_there_is_no_ratio_to_nothing(theirs: list[dict[str, float] | None]) -> None:
    assert math.isnan(ratio([{"cpu": 1.0}], theirs, "cpu"))


def test_values_are_those_that_were_measured() -> None:
    assert values_of([{"cpu": 1.0}, None, {}, {"cpu": 2.0}], "cpu") == [1.0, 2.0]


def test_a_spread_is_median_and_range() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert spread([]) is None


@pytest.mark.parametrize(
    ("part", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)]
)
def test_a_percentile_is_one_of_the_values(part: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], part) == expected


def test_a_value_is_shown_with_its_digits() -> None:
    assert Metric("delivered", "delivered/s").shown(7945.4) == "7,945"
    assert Metric("cpu", "CPU", 2).shown(0.456) == "0.46"
