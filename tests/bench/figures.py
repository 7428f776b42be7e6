"""What is measured: each figure's key, its name in the table, and how it is written."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

Figures = Mapping[str, float]  # by the key of a metric; what was not measured is not there


@dataclass(frozen=True, slots=True)
class Metric:
    """One kind of figure. `digits` stand after the point."""

    key: str
    title: str
    digits: int = 0

    def shown(self, value: float) -> str:
        """As in "7,945"."""
        return f"{value:,.{self.digits}f}"


METRICS = (
    Metric("accepted", "accepted/s"),
    Metric("delivered", "delivered/s"),
    Metric("p50", "final dot to 250, median ms", 2),
    Metric("p99", "final dot to 250, p99 ms", 2),
    Metric("ready", "restart to ready, s", 2),
    Metric("flushed", "flushed/s"),
    Metric("cpu", "CPU s per 1,000", 2),
    Metric("queued", "memory with the queue, MB"),
    Metric("memory", "peak memory, MB"),
    Metric("syncs", "syncs per message", 2),
)


@dataclass(frozen=True, slots=True)
class Spread:
    """Several runs' figures."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread | None:
    """Median and range; None for no values."""
    return Spread(median(values), min(values), max(values)) if values else None


def values_of(runs: Sequence[Figures | None], key: str) -> list[float]:
    """What the runs that came to an end measured."""
    return [run[key] for run in runs if run is not None and key in run]


def ratio(ours: Sequence[Figures | None], theirs: Sequence[Figures | None], key: str) -> float:
    """The median of the ratios of runs that followed each other; NaN where there are none."""
    pairs = [
        our[key] / their[key]
        for our, their in zip(ours, theirs, strict=False)
        if our is not None and their is not None and key in our and their.get(key, 0) > 0
    ]
    return median(pairs) if pairs else math.nan


def percentile(values: Sequence[float], part: float) -> float:
    """The least value that this part (0 to 1) of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]
