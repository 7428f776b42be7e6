"""Ratios from point to point, and the table."""

import json

import pytest

from tests.bench.growth.curves import Column, Curve, Growth, Point, as_json, ratio, table

EACH = Column("cpu", "CPU ms", 2, Growth.CONSTANT)
ALL = Column("ready", "ready, s", 1, Growth.LINEAR)
PLAIN = Column("delivered", "delivered/s")


def points(key: str, *figures: tuple[int, float]) -> list[Point]:
    return [Point(x, {key: value}) for x, value in figures]


def test_the_cost_of_one_unit_is_compared_as_it_is() -> None:
    assert ratio(EACH, *points("cpu", (10, 2.0), (100, 3.0))) == 1.5


def test_the_cost_of_all_is_compared_by_unit() -> None:
    assert ratio(ALL, *points("ready", (10, 1.0), (100, 20.0))) == pytest.approx(2.0)
    assert ratio(ALL, *points("ready", (10, 2.0), (100, 11.0)), at_zero=1.0) == pytest.approx(1.0)


def test_there_is_no_ratio_to_noise() -> None:
    assert ratio(ALL, *points("ready", (10, 1.1), (100, 9.0)), at_zero=1.0) is None


def test_there_is_no_ratio_to_nothing() -> None:
    assert ratio(PLAIN, *points("delivered", (1, 2.0), (2, 2.0))) is None
    assert ratio(ALL, *points("ready", (0, 1.0), (10, 1.0))) is None
    assert ratio(EACH, *points("cpu", (1, 0.0), (2, 1.0))) is None
    assert ratio(EACH, Point(1, {}), Point(2, {"cpu": 1.0})) is None


def test_a_table_has_a_line_a_point_and_marks_what_is_worse_than_linear() -> None:
    curve = Curve("queue", "with a queue", "queued", (PLAIN, EACH, ALL, Column("x", "nothing")))
    curve.points += [
        Point(0, {"delivered": 2000.0, "cpu": 0.5, "ready": 0.4}),
        Point(10, {"delivered": 2000.0, "cpu": 0.5, "ready": 0.5}),
        Point(1000, {"delivered": 1000.0, "cpu": 1.0, "ready": 5.4}),
    ]

    assert table(curve).splitlines() == [
        "**queue**: with a queue",
        "",
        "| queued | delivered/s | CPU ms | ready, s |",
        "| ---: | ---: | ---: | ---: |",
        "| 0 | 2,000 | 0.50 | 0.4 |",
        "| 10 | 2,000 | 0.50 (x1.00) | 0.5 |",
        "| 1,000 | 1,000 | 1.00 (x2.00 !) | 5.4 (x0.50) |",
    ]


def test_what_failed_stands_below_the_table() -> None:
    curve = Curve("queue", "with a queue", "queued", (PLAIN,), remarks=["point 1 failed: no luck"])

    assert table(curve).endswith("\n\npoint 1 failed: no luck")


def test_the_json_has_points_and_ratios() -> None:
    curve = Curve("queue", "with a queue", "queued", (PLAIN, EACH))
    curve.points += [
        Point(1, {"delivered": 9.0, "cpu": 1.0}),
        Point(2, {"delivered": 8.0, "cpu": 3.0}),
    ]

    found = json.loads(json.dumps(as_json(curve)))

    assert found["points"][1] == {"x": 2, "delivered": 8.0, "cpu": 3.0}
    assert found["ratios"] == [{"x": 2, "cpu": 3.0}]
