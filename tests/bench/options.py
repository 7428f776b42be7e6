"""The options that every bench takes."""

import argparse
import json
import tempfile
from pathlib import Path


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add where it works and where it writes what it found."""
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write all that was measured there"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="where queues and spools are made: the disk that is measured (default: %(default)s)",
    )


def write_json(call: argparse.Namespace, found: object) -> None:
    """Write it where `--json` says, if it says so."""
    if call.json is not None:
        call.json.write_text(json.dumps(found, indent=1) + "\n")
