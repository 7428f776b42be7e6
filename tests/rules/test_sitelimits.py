"""How much a site is sent at most: the shipped table, what an operator says over it, warm-up."""

from datetime import UTC, datetime

import pytest

from mta.rules.pacing.bucket import Bucket, filled, group, ready_at
from mta.rules.pacing.limits import (
    COMMON_SCHEDULE,
    DAY,
    DEFAULT,
    SHIPPED,
    Pacing,
    SiteChanges,
    SiteLimits,
    WarmUp,
)
from mta.rules.pacing.sites import PROVIDERS

ALL = SiteLimits(connections=20, messages=100)
FIRST_DAY = datetime(2026, 12, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("site", "connections", "messages"),
    [
        ("microsoft-consumer", 5, 50),
        ("yahoo", 10, 20),
        ("apple", 10, 5),
        ("nobody.test", 20, 100),
    ],
)
def test_the_shipped_table_stands_where_nothing_else_is_said(
    site: str, connections: int, messages: int
) -> None:
    limits = Pacing().limits_of(site, ALL)

    assert (limits.connections, limits.messages) == (connections, messages)


def test_the_shipped_table_speaks_of_sites_that_have_a_name() -> None:
    assert SHIPPED.keys() <= set(PROVIDERS.values())


def test_what_is_said_of_one_site_goes_over_what_is_said_of_all() -> None:
    pacing = Pacing({DEFAULT: SiteChanges(per_hour=100), "slow.test": SiteChanges(per_hour=10)})

    assert pacing.limits_of("slow.test", ALL).per_hour == 10
    assert pacing.limits_of("else.test", ALL).per_hour == 100
    assert pacing.limits_of("slow.test", ALL).connections == 20


def test_a_smarthost_gets_all_its_connections_at_once() -> None:
    assert Pacing().limits_of("smarthost:relay.test", ALL).first_connections == 20


@pytest.mark.parametrize(
    ("days", "cap"),
    [(-3, 50), (0, 50), (0.99, 50), (1, 100), (11.5, 102_400), (12, None), (400, None)],
)
def test_a_warm_up_allows_more_each_day_and_then_everything(days: float, cap: int | None) -> None:
    assert WarmUp(FIRST_DAY).cap_at(FIRST_DAY + days * DAY) == cap


def test_a_schedule_of_ones_own() -> None:
    assert WarmUp(FIRST_DAY, (10, 20)).cap_at(FIRST_DAY + DAY) == 20
    assert list(COMMON_SCHEDULE) == sorted(COMMON_SCHEDULE)


def test_a_bucket_fills_with_time_up_to_two_groups() -> None:
    empty = Bucket(0.0, 1000.0)

    assert filled(empty, 0.5, 1010.0).tokens == 5
    assert filled(empty, 0.5, 9999.0).tokens == 10
    assert filled(empty, 0.001, 9999.0).tokens == 1  # a slow one holds one message
    assert filled(Bucket(3.0, 1000.0), 0.5, 900.0).tokens == 3  # a clock that goes back


@pytest.mark.parametrize(
    ("rate", "most", "messages"), [(0.1, 100, 1), (1.0, 100, 10), (1.0, 5, 5), (1 / 60, 100, 1)]
)
def test_what_goes_together_is_ten_seconds_worth(rate: float, most: int, messages: int) -> None:
    assert group(rate, most) == messages


def test_a_bucket_knows_when_there_is_enough_in_it() -> None:
    assert ready_at(Bucket(0.0, 1000.0), 0.5, 5) == 1010
    assert ready_at(Bucket(7.0, 1000.0), 0.5, 5) == 1000
