"""`python -m tests.bench.growth`, or `make bench ARGS="--growth"`: curve after curve."""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial

from tests.bench.children import BenchError
from tests.bench.growth import domains, lengths, shapes
from tests.bench.growth.curves import Curve, Point, as_json, table
from tests.bench.machine import busy, machine_line
from tests.bench.options import add_places, write_json

Course = tuple[Curve, list[Callable[[], Point]]]

NAMES = ("queue", "recipients", "size", "domains")
FAILURES = (BenchError, OSError, EOFError, ExceptionGroup)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; 0 if all points were, 1 if not, 2 for a wrong call."""
    call = _parser().parse_args(arguments)
    unknown = sorted(set(call.only) - set(NAMES))
    if unknown:
        _say(f"expected curves of {', '.join(NAMES)}, found {unknown}")
        return 2
    if shutil.which("smtp-source") is None:
        _say("smtp-source is not installed; on Debian and Ubuntu: apt install postfix")
        return 1
    machine = machine_line(call.folder)
    trouble = busy()
    print(f"{machine}{f'; {trouble}' if trouble else ''}\n", flush=True)
    curves = [_drawn(course) for course in _courses(call)]
    found = {"machine": machine, "busy": trouble, "curves": [as_json(curve) for curve in curves]}
    write_json(call, found)
    return 1 if any(curve.remarks for curve in curves) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.growth",
        description="What a message costs mta as something grows. Behind a figure stands the"
        ' ratio of the cost of a unit to that at the point before; "!" marks what is worse.',
    )
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=[],
        metavar=",".join(NAMES[:2]),
        help=f"these alone, of: {', '.join(NAMES)}",
    )
    parser.add_argument("--quick", action="store_true", help="little work at each point: a try")
    parser.add_argument("--million", action="store_true", help="a queue of a million, too")
    add_places(parser)
    return parser


def _courses(call: argparse.Namespace) -> list[Course]:
    """The curves that are wanted, each with its points to be measured."""
    folder, is_quick = call.folder, call.quick
    queued = lengths.lengths(is_quick=is_quick, with_million=call.million)
    recipients = shapes.chosen(shapes.RECIPIENTS, is_quick=is_quick)
    sizes = shapes.chosen(shapes.SIZES, is_quick=is_quick)
    courses: list[Course] = [
        (
            lengths.curve(),
            [partial(lengths.measure, length, folder, is_quick=is_quick) for length in queued],
        ),
        (
            shapes.recipients_curve(),
            [partial(shapes.measure_recipients, workload, folder) for workload in recipients],
        ),
        (
            shapes.size_curve(),
            [partial(shapes.measure_size, workload, folder) for workload in sizes],
        ),
        (
            domains.curve(),
            [partial(domains.measure, n, folder, is_quick=is_quick) for n in domains.DOMAINS],
        ),
    ]
    return [course for course in courses if not call.only or course[0].name in call.only]


def _drawn(course: Course) -> Curve:
    """Measure the points of a curve, and print it."""
    curve, points = course
    for number, measure in enumerate(points, start=1):
        _say(f"{curve.name}, point {number} of {len(points)} ...", end=" ")
        try:
            point = measure()
        except FAILURES as error:
            _say(f"failed: {error}")
            curve.remarks.append(f"point {number} failed: {error}")
            continue
        _say(", ".join(f"{key} {value:.4g}" for key, value in point.figures.items()))
        curve.points.append(point)
    print(f"{table(curve)}\n", flush=True)
    return curve


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
