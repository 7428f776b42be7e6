"""The pace of sites on disk: what was written is read, and what is none of ours is an error."""

from pathlib import Path

import pytest

from mta.model.pace import Trouble

from mta.rules.pacing.pace import Pace, SiteState, Why

from mta.edge.memory.pace import read_paces, write_paces

TROUBLE = Trouble(421, "[TSS04] later", 7, 0, "sender", "rate", "yahoo-tss04", "pause", 7200.0)
SHUT = Pace(
    1.0,
    has_met_trouble=True,
    rate=0.1,
    goal=0.8,
    hold=600.0,
    until=1_800_000_000.0,
    is_shut=True,
    paused=7200.0,
    why=Why("yahoo-tss04", "[TSS04] later"),
)


def test_what_is_known_of_sites_comes_back_as_it_was(tmp_path: Path) -> None:
    states = [
        SiteState("yahoo", SHUT, trouble=TROUBLE),
        SiteState("google", Pace(7.5, has_met_trouble=True), day=20_600.0, sent=42),
    ]

    write_paces(tmp_path / "pace.json", states)

    assert read_paces(tmp_path / "pace.json") == states


def test_without_a_file_nothing_is_known(tmp_path: Path) -> None:
    assert read_paces(tmp_path / "pace.json") == []


@pytest.mark.parametrize(
    "line",
    ["{}", "[]", "7", '["yahoo", [1.0], 0, 0, null]', "no json"],
)
def test_a_file_that_is_none_of_ours_is_an_error_and_never_a_crash(
    tmp_path: Path, line: str
) -> None:
    (tmp_path / "pace.json").write_text(line + "\n")

    with pytest.raises(ValueError, match="expected the pace of sites in"):
        read_paces(tmp_path / "pace.json")


def test_trouble_in_words_that_nobody_knows_is_an_error_at_once(tmp_path: Path) -> None:
    write_paces(tmp_path / "pace.json", [SiteState("yahoo", SHUT, trouble=TROUBLE)])
    text = (tmp_path / "pace.json").read_text().replace('"pause"', '"dance"')
    (tmp_path / "pace.json").write_text(text)

    with pytest.raises(ValueError, match="dance"):
        read_paces(tmp_path / "pace.json")
