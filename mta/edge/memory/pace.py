"""The pace of each site, kept over a restart: to begin again at full speed earns a block."""

from collections.abc import Iterable
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

from mta.model.pace import Trouble
from mta.model.text import printable_ascii

from mta.rules.pacing.pace import Pace, SiteState, Why

from mta.edge.memory.rows import read_rows, write_rows


def read_paces(path: Path) -> list[SiteState]:
    """What was known of sites; [] where there is no file.

    Raises OSError, and ValueError for a file that is none of ours.
    """
    try:
        return [_state(row) for row in read_rows(path)]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"expected the pace of sites in {path}: {error}") from error


def write_paces(path: Path, states: Iterable[SiteState]) -> None:
    """Replace the file, whole or not at all; a power cut may bring the old one back.

    Raises OSError.
    """
    write_rows(path, map(_row, states))


def _row(state: SiteState) -> list[object]:
    trouble = state.trouble and [_plain(field) for field in astuple(state.trouble)]
    pace = {name: _plain(value) for name, value in asdict(state.pace).items()}
    return [state.site, pace, state.day, state.sent, trouble]


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return printable_ascii(value) if isinstance(value, str) else value


def _state(row: list[Any]) -> SiteState:
    site, pace, day, sent, trouble = row
    return SiteState(str(site), _pace(pace), float(day), int(sent), _trouble(trouble))


def _pace(raw: dict[str, Any]) -> Pace:
    why = raw["why"]
    return Pace(
        window=max(1.0, float(raw["window"])),
        has_met_trouble=bool(raw["has_met_trouble"]),
        rate=float(raw["rate"]),
        goal=float(raw["goal"]),
        hold=float(raw["hold"]),
        until=float(raw["until"]),
        is_shut=bool(raw["is_shut"]),
        is_probing=bool(raw["is_probing"]),
        paused=float(raw["paused"]),
        reacted_at=float(raw["reacted_at"]),
        why=Why(str(why["rule"]), str(why["text"])),
    )


def _trouble(row: list[Any] | None) -> Trouble | None:
    if row is None:
        return None
    trouble = Trouble(*row)
    trouble.outcome  # noqa: B018 - words that none of the enums knows are an error here
    return trouble
