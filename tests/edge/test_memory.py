"""What is remembered is read as it was written; a spoiled file costs what was in it alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from mta.model.envelope import Reason
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict, unresolved

from mta.rules.delivery.closure import Closure, ShutRoad
from mta.rules.submission.quota import EMPTY, Load, charged

from mta.edge.memory import read_accounts, read_homes, write_accounts, write_homes
from mta.edge.memory.roads import read_roads, write_roads

NOW = 1_800_000_000.0


def test_accounts_are_read_as_they_were_written(tmp_path: Path) -> None:
    accounts = {
        "client 192.0.2.1": charged(charged(EMPTY, Load(1, 2, 3, 4), NOW), Load(5), NOW + 4000),
        'user "\u00fc\n"': charged(EMPTY, Load(messages=10**15), NOW),
    }
    path = tmp_path / "quotas.json"

    write_accounts(path, accounts)

    assert read_accounts(path) == accounts
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_where_nothing_was_written_nothing_was_counted(tmp_path: Path) -> None:
    assert read_accounts(tmp_path / "quotas.json") == {}


@pytest.mark.parametrize(
    "text",
    ["x", "[]", "[1,2]", '["a",[1],[2]]', '["a",[0,[1],[2]],[0,[1],"x"]]', "\xff", "[" * 9999],
)
def test_a_file_without_accounts_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "quotas.json"
    path.write_text(text, "latin-1")

    with pytest.raises(ValueError, match=r"expected accounts in .*quotas\.json"):
        read_accounts(path)


def test_homes_are_read_as_they_were_written(tmp_path: Path) -> None:
    homes = {"ann": ("192.0.2.1", "2001:db8::/64", ""), 'j"\u00fc\n': ()}
    path = tmp_path / "logins.json"

    write_homes(path, homes)

    assert read_homes(path) == homes
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_where_nothing_was_written_nobody_is_known(tmp_path: Path) -> None:
    assert read_homes(tmp_path / "logins.json") == {}


@pytest.mark.parametrize("text", ["x", "[]", "7", "\xff", "[" * 9999])
def test_a_file_without_homes_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "logins.json"
    path.write_text(text, "latin-1")

    with pytest.raises(ValueError, match=r"expected users and networks in .*logins\.json"):
        read_homes(path)


BLOCKED = Outcome(
    Verdict.FAILED,
    Reply(550, "blocked \udcff \u00fc", 7, 1),
    Stage.SENDER,
    Scope.DESTINATION,
    is_from_peer=True,
)
ROADS = [
    ShutRoad("big", "big", Closure(Reason.BLOCKED, BLOCKED, 1.5, 2.5, 3)),
    ShutRoad("there.test", "big", Closure(Reason.CONNECT, unresolved("?"), 0.0, 1.0)),
]


def test_roads_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "roads.json"

    write_roads(path, ROADS)

    first, second = read_roads(path)
    assert second == ROADS[1]
    escaped = replace(BLOCKED, reply=replace(BLOCKED.reply, text=r"blocked \udcff \xfc"))
    assert first == replace(ROADS[0], closure=replace(ROADS[0].closure, outcome=escaped))
    assert path.stat().st_mode & 0o777 == 0o600


def test_where_nothing_was_written_no_road_is_shut(tmp_path: Path) -> None:
    assert read_roads(tmp_path / "roads.json") == []


@pytest.mark.parametrize(
    "text",
    ["x", "[]", "7", '["a","b","spam",[1,2,3],["failed","tls",true],[1,"",0,0]]', "[" * 9999],
)
def test_a_file_without_roads_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "roads.json"
    path.write_text(text, "latin-1")

    with pytest.raises(ValueError, match=r"expected roads in .*roads\.json"):
        read_roads(path)
