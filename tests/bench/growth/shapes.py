"""The shape of a message: its recipients, and its size."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.bench.growth.curves import Column, Curve, Growth, Point
from tests.bench.ours import Ours
from tests.bench.trial import MB, measure
from tests.bench.workloads import KIB, Workload, shortened

MIB = 1024 * KIB
QUICK = 10  # a quick run does this part of the work

RECIPIENTS = tuple(
    Workload("recipients", "", max(4, 4000 // count), recipients=count, is_kept=True)
    for count in (1, 10, 100, 1000)
)
SIZES = tuple(
    Workload("size", "", messages, octets=octets, is_kept=True)
    for octets, messages in (
        (KIB, 3000),
        (10 * KIB, 3000),
        (100 * KIB, 600),
        (MIB, 100),
        (10 * MIB, 20),
    )
)


def recipients_curve() -> Curve:
    """Of `RECIPIENTS`, empty."""
    return Curve(
        "recipients",
        "4 KiB; all figures are for a recipient's copy",
        "recipients",
        (
            Column("delivered", "delivered/s"),
            Column("cpu", "CPU ms a copy", 3, Growth.CONSTANT),
            Column("memory", "peak memory, MB", 1, Growth.CONSTANT),
        ),
    )


def size_curve() -> Curve:
    """Of `SIZES`, empty."""
    return Curve(
        "size",
        "one recipient; 20 sessions",
        "octets",
        (
            Column("delivered", "delivered/s"),
            Column("rate", "MB/s", 1),
            Column("cpu", "CPU ms a message", 3, Growth.LINEAR),
            Column("cpu_mb", "CPU ms a MB", 2),
            Column("memory", "peak memory, MB", 1),
        ),
    )


def chosen(workloads: Sequence[Workload], *, is_quick: bool) -> list[Workload]:
    """Those of a curve, with less to do in a quick run."""
    if not is_quick:
        return list(workloads)
    return [shortened(workload, max(2, workload.messages // QUICK)) for workload in workloads]


def measure_recipients(workload: Workload, parent: Path) -> Point:
    """One point. Raises BenchError."""
    return Point(workload.recipients, measure(workload, Ours(), parent))


def measure_size(workload: Workload, parent: Path) -> Point:
    """One point. Raises BenchError."""
    figures = measure(replace(workload, name="size"), Ours(), parent)
    octets = workload.octets
    more = {
        "rate": figures["delivered"] * octets / MB,
        "cpu_mb": figures["cpu"] / octets * MB,
    }
    return Point(octets, {**figures, **more})
