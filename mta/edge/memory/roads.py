"""The direct roads that are shut, kept over a restart."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mta.model.envelope import Reason
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict
from mta.model.text import printable_ascii

from mta.rules.delivery.closure import Closure, ShutRoad

from mta.edge.memory.rows import read_rows, write_rows


def read_roads(path: Path) -> list[ShutRoad]:
    """What was shut; [] where there is no file.

    Raises OSError, and ValueError for a file that is none of ours.
    """
    try:
        return [_road(row) for row in read_rows(path)]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"expected roads in {path}: {error}") from error


def write_roads(path: Path, roads: Iterable[ShutRoad]) -> None:
    """Replace the file, whole or not at all; a power cut may bring the old one back.

    Raises OSError.
    """
    write_rows(path, map(_row, roads))


def _row(road: ShutRoad) -> list[object]:
    closure, outcome = road.closure, road.closure.outcome
    reply = outcome.reply
    return [
        road.name,
        road.site,
        str(closure.reason),
        [closure.since, closure.until, closure.times],
        [str(outcome.verdict), str(outcome.stage), outcome.is_from_peer],
        [reply.code, printable_ascii(reply.text), reply.subject, reply.detail],
    ]


def _road(row: list[Any]) -> ShutRoad:
    name, site, reason, (since, until, times), (verdict, stage, is_from_peer), reply = row
    outcome = Outcome(
        Verdict(verdict),
        Reply(*reply),
        Stage(stage),
        Scope.DESTINATION,
        is_from_peer=bool(is_from_peer),
    )
    closure = Closure(Reason(reason), outcome, float(since), float(until), int(times))
    return ShutRoad(str(name), str(site), closure)
