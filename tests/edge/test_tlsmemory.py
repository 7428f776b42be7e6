"""What is remembered of domains' TLS is read as it was written."""

from pathlib import Path

import pytest

from mta.model.domain import TlsFailure
from mta.model.policy import HeldPolicy, StsMode, StsPolicy
from mta.model.tlsreport import Applied, Counted, Failing, PolicyKind

from mta.rules.tls.memory import Broken, Seen

from mta.edge.memory.tls import (
    ask_to_forget,
    asked_to_forget,
    make_room,
    read_broken,
    read_counted,
    read_policies,
    read_seen,
    write_counted,
    write_memory,
    write_policies,
)

NOW = 1_800_000_000.25
POLICY = StsPolicy(StsMode.ENFORCE, ("mx.there.test", "*.there.test"), 604_800)


def test_policies_are_read_as_they_were_written(tmp_path: Path) -> None:
    held = {
        "there.test": HeldPolicy(POLICY, "20260101T", NOW, NOW + 1),
        "gone.test": HeldPolicy(StsPolicy(StsMode.NONE, (), 86_400), "1", NOW, NOW),
    }

    write_policies(tmp_path / "tls-memory", held)

    assert read_policies(tmp_path / "tls-memory") == held
    assert [path.name for path in (tmp_path / "tls-memory").iterdir()] == ["policies.json"]
    assert (tmp_path / "tls-memory").stat().st_mode & 0o777 == 0o700


def test_domains_and_hosts_are_read_as_they_were_written(tmp_path: Path) -> None:
    seen, broken = {"there.test": Seen(NOW, NOW - 5)}, {"mx.there.test": Broken(NOW, 7)}

    write_memory(tmp_path, seen, broken)

    assert dict(read_seen(tmp_path)) == seen
    assert dict(read_broken(tmp_path)) == broken


def test_counts_are_read_as_they_were_written(tmp_path: Path) -> None:
    applied = Applied("there.test", PolicyKind.STS, ("version: STSv1",), ("mx.there.test",))
    failing = Failing(TlsFailure.CERTIFICATE_EXPIRED, "mx.there.test", "192.0.2.1", 'a "word"')
    counted = [
        Counted(20_000, applied, 5, ((failing, 2),)),
        Counted(20_001, Applied("there.test", PolicyKind.NONE), 1),
    ]

    write_counted(tmp_path, counted)

    assert read_counted(tmp_path) == counted


def test_where_nothing_was_written_nothing_is_known(tmp_path: Path) -> None:
    assert read_policies(tmp_path) == {}
    assert read_seen(tmp_path) == []
    assert read_broken(tmp_path) == []
    assert read_counted(tmp_path) == []
    assert asked_to_forget(tmp_path) == []


@pytest.mark.parametrize("text", ["[1]\n", "{}\n", "no JSON\n", '["a",1,2,3,"maybe",5,[]]\n'])
def test_a_file_of_others_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "policies.json").write_text(text)

    with pytest.raises(ValueError, match="expected what we wrote in"):
        read_policies(tmp_path)


def test_who_is_to_be_forgotten_is_told_once(tmp_path: Path) -> None:
    assert not ask_to_forget(tmp_path, "there.test")
    make_room(tmp_path)
    assert ask_to_forget(tmp_path, "there.test")
    assert ask_to_forget(tmp_path, "there.test")

    assert asked_to_forget(tmp_path) == ["there.test"]
    assert asked_to_forget(tmp_path) == []
