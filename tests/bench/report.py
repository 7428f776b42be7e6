"""The report: a table for people, in Markdown, and the same with every run as JSON."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.figures import METRICS, Figures, Metric, ratio, spread, values_of
from tests.bench.workloads import Workload


@dataclass(slots=True)
class Result:
    """One workload: its runs by side, in the order in which they took turns; None: it failed."""

    workload: Workload
    runs: dict[str, list[Figures | None]]
    remarks: list[str] = field(default_factory=list)


def table(results: Sequence[Result], ours: str, theirs: str) -> str:
    """Medians with the range of the runs in brackets, and the ratio of ours to theirs."""
    sides = list(dict.fromkeys(side for result in results for side in result.runs))
    head = ["", "", *sides, f"{ours} / {theirs}"]
    rows = [cells for result in results for cells in _rows(result, sides, ours, theirs)]
    lines = [_line(head), _line(["---"] * len(head)), *map(_line, rows)]
    remarks = [
        f"{result.workload.name}: {remark}" for result in results for remark in result.remarks
    ]
    return "\n".join([*lines, *(["", *remarks] if remarks else [])])


def _rows(result: Result, sides: Sequence[str], ours: str, theirs: str) -> Iterator[list[str]]:
    title = f"**{result.workload.name}** {result.workload.messages:,} x {result.workload.about}"
    for metric in METRICS:
        cells = [_cell(metric, result.runs.get(side, [])) for side in sides]
        if any(cells):
            quotient = ratio(result.runs.get(ours, []), result.runs.get(theirs, []), metric.key)
            yield [title, metric.title, *cells, "" if math.isnan(quotient) else f"{quotient:.2f}"]
            title = ""


def _cell(metric: Metric, runs: Sequence[Figures | None]) -> str:
    found = spread(values_of(runs, metric.key))
    if found is None:
        return ""
    if found.least == found.most:
        return metric.shown(found.median)
    return f"{metric.shown(found.median)} ({metric.shown(found.least)}-{metric.shown(found.most)})"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def as_json(
    results: Sequence[Result], facts: Mapping[str, object], ours: str, theirs: str
) -> dict[str, object]:
    """Everything: `facts` about the machine and the call, every run, and the ratios."""
    return {**facts, "workloads": [_result_as_json(result, ours, theirs) for result in results]}


def _result_as_json(result: Result, ours: str, theirs: str) -> dict[str, object]:
    workload = result.workload
    ratios = {
        metric.key: ratio(result.runs.get(ours, []), result.runs.get(theirs, []), metric.key)
        for metric in METRICS
    }
    return {
        "name": workload.name,
        "about": workload.about,
        "messages": workload.messages,
        "octets": workload.octets,
        "recipients": workload.recipients,
        "sessions": workload.sessions,
        "connections": workload.connections,
        "runs": result.runs,
        "ratios": {key: value for key, value in ratios.items() if not math.isnan(value)},
        "remarks": result.remarks,
    }
