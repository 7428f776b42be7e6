"""Where users are known is read as it was written, and a spoiled file costs no more than that."""

from pathlib import Path

import pytest

from mta.edge.loginfile import read_homes, write_homes


def test_what_was_written_is_read(tmp_path: Path) -> None:
    homes = {"ann": ("192.0.2.1", "2001:db8::/64", ""), 'j"\u00fc\n': ()}
    path = tmp_path / "logins.json"

    write_homes(path, homes)

    assert read_homes(path) == homes
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_where_nothing_was_written_nobody_is_known(tmp_path: Path) -> None:
    assert read_homes(tmp_path / "logins.json") == {}


@pytest.mark.parametrize("text", ["x", "[]", "7", "\xff", "[" * 9999])
def test_a_file_that_is_none_of_ours_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "logins.json"
    path.write_text(text, "latin-1")

    with pytest.raises(ValueError, match=r"expected users and networks in .*logins\.json"):
        read_homes(path)
