"""The table and the JSON."""

import json

from tests.bench.figures import Figures
from tests.bench.report import Result, as_json, table
from tests.bench.workloads import Workload

WORKLOAD = Workload("W1", "4 KiB", 5000)


def test_a_row_has_medians_ranges_and_the_ratio() -> None:
    ours = [{"delivered": 3000.0}, {"delivered": 3300.0}, {"delivered": 2800.0}]
    theirs = [{"delivered": 700.0}, {"delivered": 660.0}, {"delivered": 700.0}]

    shown = table([Result(WORKLOAD, {"mta": [*ours], "postfix": [*theirs]})], "mta", "postfix")

    assert shown.splitlines() == [
        "|  |  | mta | postfix | mta / postfix |",
        "| --- | --- | --- | --- | --- |",
        "| **W1** 5,000 x 4 KiB | delivered/s | 3,000 (2,800-3,300) | 700 (660-700) | 4.29 |",
    ]


def test_a_workload_is_named_once_and_only_what_was_measured_has_a_row() -> None:
    result = Result(WORKLOAD, {"mta": [{"accepted": 1.0, "cpu": 2.0}]})

    shown = table([result], "mta", "postfix")

    assert shown.splitlines()[2:] == [
        "| **W1** 5,000 x 4 KiB | accepted/s | 1 |  |",
        "|  | CPU s per 1,000 | 2.00 |  |",
    ]


def test_remarks_stand_below_the_table() -> None:
    result = Result(WORKLOAD, {"mta": [None]}, ["mta failed: it did not start"])

    assert table([result], "mta", "postfix").endswith("\n\nW1: mta failed: it did not start")


def test_the_json_has_every_run_and_only_the_ratios_that_there_are() -> None:
    runs: dict[str, list[Figures | None]] = {
        "mta": [{"cpu": 1.0}, None],
        "postfix": [{"cpu": 4.0}, {"cpu": 4.0}],
    }
    result = Result(WORKLOAD, runs)

    found = json.loads(json.dumps(as_json([result], {"machine": "m"}, "mta", "postfix")))

    assert found["machine"] == "m"
    assert found["workloads"][0]["runs"] == runs
    assert found["workloads"][0]["ratios"] == {"cpu": 0.25}
