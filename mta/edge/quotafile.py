"""What was counted against everybody's allowance, in a file, so that a restart forgives nothing.

One line of JSON for each account. A crash loses what was counted since it was last written.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson

from mta.rules.quota import DAY, HOUR, Account, Load, Window


def read_accounts(path: Path) -> dict[str, Account]:
    """What `write_accounts` wrote; {} where there is no file.

    Raises OSError, and ValueError for a file that is none of ours.
    """
    try:
        with path.open("rb") as lines:
            return dict(map(_read_line, lines))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"expected accounts in {path}: {error}") from error


def write_accounts(path: Path, accounts: Mapping[str, Account]) -> None:
    """Replace the file, whole or not at all; a power cut may bring the old one back.

    Raises OSError.
    """
    temporary = path.with_suffix(".tmp")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(file, "wb") as out:
        out.writelines(_lines(accounts))
    temporary.replace(path)


def _lines(accounts: Mapping[str, Account]) -> Iterator[bytes]:
    for name, account in accounts.items():
        windows = [_raw(account[seconds]) for seconds in (HOUR, DAY)]
        yield orjson.dumps([name, *windows], option=orjson.OPT_APPEND_NEWLINE)


def _raw(window: Window) -> list[object]:
    return [window.began_at, tuple(window.before), tuple(window.since)]


def _read_line(line: bytes) -> tuple[str, Account]:
    name, hour, day = orjson.loads(line)
    return str(name), {HOUR: _window(hour), DAY: _window(day)}


def _window(raw: list[list[int]]) -> Window:
    began_at, before, since = raw
    return Window(float(began_at), Load(*map(int, before)), Load(*map(int, since)))  # type: ignore[arg-type]
