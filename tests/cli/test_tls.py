"""`mta tls` on what a server wrote."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mta.model.policy import HeldPolicy, StsMode, StsPolicy

from mta.rules.tls.memory import Broken, Seen

from mta.edge.memory.tls import (
    FOLDER,
    asked_to_forget,
    make_room,
    write_memory,
    write_policies,
)

from mta.cli import main

Output = tuple[int, str, str]
NOW = time.time()


@pytest.fixture
def tls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Output]:
    config = tmp_path / "config.yaml"
    config.write_text("spool: spool")

    def call(*arguments: str) -> Output:
        status = main(["tls", *arguments, "--config", str(config)])
        output = capsys.readouterr()
        return status, output.out, output.err

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "spool" / FOLDER
    make_room(found)
    policy = StsPolicy(StsMode.ENFORCE, ("mx.there.test", "*.there.test"), 86_400)
    write_policies(found, {"there.test": HeldPolicy(policy, "1", NOW, NOW)})
    write_memory(
        found,
        {"there.test": Seen(NOW, NOW - 9e6), "old.test": Seen(NOW - 9e6)},
        {"mx.broken.test": Broken(NOW, 7)},
    )
    return found


def test_what_is_known_is_shown(tls: Callable[..., Output], folder: Path) -> None:
    status, out, _ = tls("show")

    assert status == 0
    policy, domain, host = out.splitlines()
    assert policy.startswith("policy there.test: mode enforce; mx mx.there.test, *.there.test; ")
    assert domain.startswith("domain there.test: held to tls until 2")
    assert host.startswith("host mx.broken.test: connections in clear 7; until 2")


def test_one_name_is_shown_alone(tls: Callable[..., Output], folder: Path) -> None:
    status, out, _ = tls("show", "mx.broken.test", "--json")

    found = json.loads(out)
    assert status == 0
    assert (found["policy"], found["domain"]) == ({}, {})
    assert found["host"]["mx.broken.test"]["connections in clear"] == 7


def test_where_no_server_ran_nothing_is_known(tls: Callable[..., Output]) -> None:
    assert tls("show")[:2] == (0, "nothing is known\n")
    assert tls("forget", "there.test")[:2] == (0, "there.test: nothing is known\n")


def test_a_domain_is_let_go(tls: Callable[..., Output], folder: Path) -> None:
    status, out, _ = tls("forget", "There.Test")

    assert (status, out) == (0, "there.test: let go of within seconds\n")
    assert asked_to_forget(folder) == ["there.test"]


def test_what_is_no_domain_is_refused(tls: Callable[..., Output], folder: Path) -> None:
    status, _, err = tls("forget", "../../etc")

    assert status == 2
    assert "expected" in err


def test_a_file_of_others_is_told_of(tls: Callable[..., Output], folder: Path) -> None:
    (folder / "policies.json").write_text("no JSON")

    status, _, err = tls("show")

    assert status == 1
    assert "policies.json" in err
