"""What was counted is read as it was written, and a spoiled file costs no more than its counts."""

from pathlib import Path

import pytest

from mta.rules.quota import EMPTY, Load, charged

from mta.edge.quotafile import read_accounts, write_accounts

NOW = 1_800_000_000.0


def test_what_was_written_is_read(tmp_path: Path) -> None:
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
def test_a_file_that_is_none_of_ours_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "quotas.json"
    path.write_text(text, "latin-1")

    with pytest.raises(ValueError, match=r"expected accounts in .*quotas\.json"):
        read_accounts(path)
