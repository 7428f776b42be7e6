"""The example units are such as systemd takes, and leave the server little beyond its needs."""

import shutil
import sys
from pathlib import Path

import pytest

from tests.e2e.checks import peer, run

UNITS = Path(__file__).parents[2] / "docs" / "systemd"

pytestmark = [pytest.mark.peers, peer("systemd-analyze")]


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for unit in UNITS.iterdir():
        text = unit.read_text().replace("/opt/mta/bin/mta", sys.executable)
        (tmp_path / unit.name).write_text(text)

    units = sorted(map(str, tmp_path.iterdir()))
    done = run("systemd-analyze", "verify", "--man=no", *units)

    assert b"mta" not in done.stderr, done.stderr.decode()


def test_the_service_is_exposed_to_little(tmp_path: Path) -> None:
    unit = str(shutil.copy(UNITS / "mta.service", tmp_path))

    run("systemd-analyze", "security", "--offline=yes", "--threshold=20", unit)
