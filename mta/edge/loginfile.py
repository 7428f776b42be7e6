"""Where users have logged in, in a file, so that a restart makes nobody a stranger at home.

One line of JSON for each user. A crash loses what came since it was last written.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import orjson

Homes = Mapping[str, tuple[str, ...]]  # the networks where each user is known


def read_homes(path: Path) -> dict[str, tuple[str, ...]]:
    """What `write_homes` wrote; {} where there is no file.

    Raises OSError, and ValueError for a file that is none of ours.
    """
    try:
        with path.open("rb") as lines:
            return dict(map(_read_line, lines))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise ValueError(f"expected users and networks in {path}: {error}") from error


def write_homes(path: Path, homes: Homes) -> None:
    """Replace the file, whole or not at all; a power cut may bring the old one back.

    Raises OSError.
    """
    temporary = path.with_suffix(".tmp")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(file, "wb") as out:
        for name, networks in homes.items():
            out.write(orjson.dumps([name, *networks], option=orjson.OPT_APPEND_NEWLINE))
    temporary.replace(path)


def _read_line(line: bytes) -> tuple[str, tuple[str, ...]]:
    name, *networks = orjson.loads(line)
    return str(name), tuple(map(str, networks))
