"""What is measured at each point, as far as it is decided without a server."""

import time
from pathlib import Path

import pytest

from mta.edge.spool.inspection import inspect

from tests.bench import __main__ as bench
from tests.bench.growth import __main__ as growth
from tests.bench.growth.domains import with_costs, zone_of
from tests.bench.growth.fill import DAY, fill
from tests.bench.growth.lengths import MILLION, lateness, lengths
from tests.bench.growth.shapes import RECIPIENTS, SIZES, chosen


def test_a_million_is_measured_where_it_is_asked_for() -> None:
    assert lengths(is_quick=False, with_million=False)[-1] == 100_000
    assert lengths(is_quick=False, with_million=True)[-1] == MILLION


def test_a_filled_spool_holds_messages_that_wait_until_tomorrow(tmp_path: Path) -> None:
    fill(tmp_path / "spool", 30)

    found = inspect(tmp_path / "spool")
    assert len(found) == 30
    assert min(one.recipients[0].next_at for one in found) > time.time() + DAY - 60


def test_lateness_is_from_the_latest_time_that_was_set_to_the_delivery() -> None:
    at = "2026-11-21T12:00:0{}.{}00+00:00"
    events = [
        {"event": "deferred", "id": "a", "next_at": at.format(1, 0)},
        {"event": "deferred", "id": "a", "next_at": at.format(2, 0)},
        {"event": "delivered", "id": "b", "at": at.format(2, 1)},
        {"event": "delivered", "id": "a", "at": at.format(2, 5)},
        {"event": "settled", "id": "a"},
    ]

    assert list(lateness(events)) == [0.5]


def test_recipients_and_sizes_grow_by_tens() -> None:
    assert [workload.recipients for workload in RECIPIENTS] == [1, 10, 100, 1000]
    assert {workload.units for workload in RECIPIENTS} == {4000}
    assert [workload.octets // 1024 for workload in SIZES] == [1, 10, 100, 1024, 10240]


def test_a_quick_run_does_little_at_each_point() -> None:
    assert [workload.messages for workload in chosen(SIZES, is_quick=True)] == [300, 300, 60, 10, 2]


def test_each_domain_has_a_host_of_its_own() -> None:
    zone = zone_of(["a.test", "b.test"])

    assert zone["a.test"].mx == ((10, "mx.a.test"),)
    assert zone["mx.b.test"].a == ("127.0.0.1",)


def test_what_a_domain_adds_is_said_of_many_alone() -> None:
    one, many = {"cpu": 0.5}, {"cpu": 0.7}

    assert with_costs(many, one, 1000, 100)["cpu_domain"] == pytest.approx(2.0)
    assert with_costs(many, one, 1000, 10) == {"cpu": 0.7, "cpu_one": 0.5}


def test_an_unknown_curve_is_refused() -> None:
    assert growth.main(["--only", "queue,moon"]) == 2


def test_growth_is_reached_from_the_bench(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--growth", "--help"])

    assert "--million" in capsys.readouterr().out
