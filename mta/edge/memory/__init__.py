"""What is remembered of clients and users over a restart, each kind in a file of its own.

A line of JSON for each. A crash loses what came since a file was last written.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mta.rules.submission.quota import DAY, HOUR, Account, Load, Window

from mta.edge.memory.rows import read_rows, write_rows

Homes = Mapping[str, tuple[str, ...]]  # the networks where each user has logged in


def read_accounts(path: Path) -> dict[str, Account]:
    """What was counted against everybody's allowance; {} where there is no file.

    Raises OSError, and ValueError for a file that is none of ours.
    """
    try:
        return {
            name: {HOUR: _window(hour), DAY: _window(day)} for name, hour, day in read_rows(path)
        }
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"expected accounts in {path}: {error}") from error


def write_accounts(path: Path, accounts: Mapping[str, Account]) -> None:
    """Replace the file, whole or not at all; a power cut may bring the old one back.

    Raises OSError.
    """
    write_rows(path, ([name, *map(_raw, account.values())] for name, account in accounts.items()))


def read_homes(path: Path) -> dict[str, tuple[str, ...]]:
    """Where users are known; {} where there is no file.

    Raises OSError, and ValueError for a file that is none of ours.
    """
    try:
        return {name: tuple(map(str, networks)) for name, *networks in read_rows(path)}
    except (ValueError, TypeError) as error:
        raise ValueError(f"expected users and networks in {path}: {error}") from error


def write_homes(path: Path, homes: Homes) -> None:
    """As `write_accounts`."""
    write_rows(path, ([name, *networks] for name, networks in homes.items()))


def _raw(window: Window) -> list[object]:
    return [window.began_at, tuple(window.before), tuple(window.since)]


def _window(raw: list[Any]) -> Window:
    began_at, before, since = raw
    return Window(float(began_at), Load(*map(int, before)), Load(*map(int, since)))
