"""What is remembered is read as it was written; a spoiled file costs what was in it alone."""

from pathlib import Path

import pytest

from mta.rules.submission.quota import EMPTY, Load, charged

from mta.edge.memory import read_accounts, read_homes, write_accounts, write_homes

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
