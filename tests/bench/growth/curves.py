"""Curves: figures at growing sizes, and how the cost of a unit changes from each to the next."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import pairwise

from tests.bench.figures import Figures

WORSE = 1.25  # times the cost of a unit at the point before: from here on it is marked
MEASURABLE = 0.2  # of what is there at x = 0: what is added must be as much, or it is noise


class Growth(Enum):
    """How a figure would grow at best, and so what its ratio is of."""

    NONE = auto()  # it is shown as it is
    CONSTANT = auto()  # it is the cost of one unit: the ratio is that of the figures
    LINEAR = auto()  # it is for all: the ratio is that of what each unit of x adds to it


@dataclass(frozen=True, slots=True)
class Column:
    """One kind of figure."""

    key: str
    title: str
    digits: int = 0
    growth: Growth = Growth.NONE


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured at `x`."""

    x: int
    figures: Figures


@dataclass(slots=True)
class Curve:
    """`x_title` says what grows, `title` what is done at each point."""

    name: str
    title: str
    x_title: str
    columns: Sequence[Column]
    points: list[Point] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def ratio(column: Column, before: Point, after: Point, *, at_zero: float = 0.0) -> float | None:
    """The cost of a unit at one point by that at the point before; None where there is none.

    `at_zero` is what a linear figure is where there is nothing to grow.
    """
    old, new = before.figures.get(column.key), after.figures.get(column.key)
    if column.growth is Growth.NONE or old is None or new is None:
        return None
    if column.growth is Growth.LINEAR:
        if not before.x or not after.x:
            return None
        if old - at_zero < MEASURABLE * at_zero:
            return None
        old, new = (old - at_zero) / before.x, (new - at_zero) / after.x
    return new / old if old > 0 else None


def _ratio_in(curve: Curve, column: Column, before: Point, after: Point) -> float | None:
    at_zero = sum(point.figures.get(column.key, 0.0) for point in curve.points if point.x == 0)
    return ratio(column, before, after, at_zero=at_zero)


def table(curve: Curve) -> str:
    """In Markdown, a line a point; a ratio stands behind its figure, with "!" where it is bad."""
    columns = [column for column in curve.columns if _is_measured(curve, column)]
    lines = [
        f"**{curve.name}**: {curve.title}\n",
        _line([curve.x_title, *(column.title for column in columns)]),
        _line(["---:"] * (1 + len(columns))),
    ]
    befores = [None, *curve.points]
    for before, point in zip(befores, curve.points, strict=False):
        cells = [_cell(curve, column, before, point) for column in columns]
        lines.append(_line([f"{point.x:,}", *cells]))
    return "\n".join([*lines, *(["", *curve.remarks] if curve.remarks else [])])


def as_json(curve: Curve) -> dict[str, object]:
    """All points, and the ratios from each to the next."""
    return {
        "name": curve.name,
        "title": curve.title,
        "x": curve.x_title,
        "points": [{"x": point.x, **point.figures} for point in curve.points],
        "ratios": [
            {"x": after.x, **_ratios(curve, before, after)}
            for before, after in pairwise(curve.points)
        ],
        "remarks": curve.remarks,
    }


def _ratios(curve: Curve, before: Point, after: Point) -> dict[str, float]:
    found = {column.key: _ratio_in(curve, column, before, after) for column in curve.columns}
    return {key: value for key, value in found.items() if value is not None}


def _is_measured(curve: Curve, column: Column) -> bool:
    return any(column.key in point.figures for point in curve.points)


def _cell(curve: Curve, column: Column, before: Point | None, point: Point) -> str:
    if column.key not in point.figures:
        return ""
    shown = f"{point.figures[column.key]:,.{column.digits}f}"
    found = None if before is None else _ratio_in(curve, column, before, point)
    if found is None:
        return shown
    return f"{shown} (x{found:.2f}{' !' if found >= WORSE else ''})"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
