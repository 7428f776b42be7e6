"""`mta queue sites`: what holds back the mail for which receiver."""

import json
import re
import time
from pathlib import Path

import pytest

from mta.model.pace import Trouble

from mta.rules.pacing.pace import Pace, SiteState

from mta.edge.memory.pace import write_paces

from mta.cli import main

SLOW = Trouble(421, "unusual rate of mail", 7, 28, "content", "rate", "google-rate", "slow", 0.0)
PEACE = Trouble(421, "[TSS04] later", 7, 0, "sender", "rate", "yahoo-tss04", "pause", 7200.0)


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "spool").mkdir()
    (tmp_path / "config.yaml").write_text("hostname: mta.test\n")
    return str(tmp_path / "config.yaml")


def know(config: str, *states: SiteState) -> None:
    write_paces(Path(config).parent / "spool" / "pace.json", states)


def slow(until: float) -> Pace:
    return Pace(5.0, has_met_trouble=True, rate=0.1, goal=1.0, hold=600.0, until=until)


def shut(until: float) -> Pace:
    return Pace(1.0, rate=0.1, goal=1.0, hold=600.0, until=until, is_shut=True, paused=7200.0)


def test_a_throttle_is_shown_with_its_end_its_reason_and_its_rule(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    until = time.time() + 600
    know(
        config,
        SiteState("google", slow(until), trouble=SLOW),
        SiteState("yahoo", shut(until), trouble=PEACE),
    )

    assert main(["queue", "sites", "--config", config]) == 0

    google, yahoo = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"google: 6/min until \d\d:\d\d, 5 of 10 connections: "
        r"421 4\.7\.28 unusual rate of mail \(rule google-rate\)",
        google,
    )
    assert re.fullmatch(
        r"yahoo: nothing until \d\d:\d\d: 421 4\.7\.0 \[TSS04\] later \(rule yahoo-tss04\)", yahoo
    )


def test_the_same_as_json(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    know(config, SiteState("google", slow(time.time() + 600), trouble=SLOW))

    assert main(["queue", "sites", "--json", "--config", config]) == 0

    (google,) = json.loads(capsys.readouterr().out)
    assert google["state"] == "slow"
    assert google["cause"] == "rate"
    assert (google["connections"], google["connections_at_most"]) == (5, 10)


def test_what_is_over_by_now_is_not_shown_as_if_it_were_not(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    past = time.time() - 10
    know(config, SiteState("yahoo", shut(past), trouble=PEACE))

    assert main(["queue", "sites", "--config", config]) == 0

    assert capsys.readouterr().out.startswith("yahoo: one message finds out")


def test_a_warm_up_says_how_much_of_today_is_gone(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    warm_up = {"since": "2020-01-01", "daily": [400] * 4000}
    Path(config).write_text(json.dumps({"pacing": [{"site": "google", "warm_up": warm_up}]}))
    know(config, SiteState("google", Pace(10.0), day=time.time() // 86400, sent=120))

    assert main(["queue", "sites", "--json", "--config", config]) == 0

    (google,) = json.loads(capsys.readouterr().out)
    assert (google["state"], google["sent_today"], google["cap_today"]) == ("warm-up", 120, 400)
    assert main(["queue", "sites", "--config", config]) == 0
    assert "google: 120 of 400 messages today (warm-up), 10 of" in capsys.readouterr().out


def test_where_nothing_is_held_back_it_says_so(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    know(config, SiteState("google", Pace(10.0, has_met_trouble=True)))

    assert main(["queue", "sites", "--config", config]) == 0
    assert capsys.readouterr().out == "no site is held back\n"

    assert main(["queue", "sites", "--all", "--config", config]) == 0
    assert "google: as much as there is, 10 of 10 connections" in capsys.readouterr().out


def test_a_file_that_is_broken_is_an_error(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    (Path(config).parent / "spool" / "pace.json").write_text("{}\n")

    assert main(["queue", "sites", "--config", config]) == 1
    assert "expected the pace of sites" in capsys.readouterr().err
