"""A small file that is always replaced whole: a line of JSON for each thing that is remembered."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson


def read_rows(path: Path) -> list[Any]:
    """What each line holds; [] where there is no file.

    Raises OSError, and ValueError for a line that is no JSON.
    """
    try:
        return [orjson.loads(line) for line in path.read_bytes().splitlines()]
    except FileNotFoundError:
        return []


def write_rows(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Replace the file, whole or not at all; a power cut may bring the old one back.

    Its folder is made where it is missing. Raises OSError.
    """
    temporary = path.with_suffix(".tmp")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(file, "wb") as out:
        out.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
    temporary.replace(path)
