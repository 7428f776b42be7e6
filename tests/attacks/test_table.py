"""The table of attacks in docs/submission.md names tests that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    line.split("|")
    for line in (ROOT / "docs/submission.md")
    .read_text()
    .split("## What attackers try")[1]
    .split("\n")
    if line.startswith("| ") and "`" in line
]
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
}
FILES = {path.name for kind in ("txt", "yaml") for path in (ROOT / "tests").rglob(f"*.{kind}")}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1].strip())
def test_each_attack_is_tried(row: list[str]) -> None:
    names = re.findall("`([^`]+)`", row[3])

    assert names
    assert [name for name in names if name not in TESTS | FILES] == []
