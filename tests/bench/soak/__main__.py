"""`python -m tests.bench.soak`: minutes or hours in bad weather, and a verdict."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.bench.children import BenchError
from tests.bench.machine import machine_line
from tests.bench.options import add_places, write_json
from tests.bench.soak.run import Terms, shown, soak

LEAST = 0.3  # minutes


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak; 0 if all held, 1 if not, 2 for a wrong call."""
    call = _parser().parse_args(arguments)
    if call.minutes < LEAST or call.rate <= 0:
        print(f"expected --minutes of {LEAST} at least and a --rate above 0", file=sys.stderr)
        return 2
    machine = machine_line(call.folder)
    print(f"{machine}\n", flush=True)
    terms = Terms(seconds=call.minutes * 60, rate=call.rate, seed=call.seed)
    folder = Path(tempfile.mkdtemp(prefix="mta-soak-", dir=call.folder))
    try:
        result = soak(terms, folder, lambda line: print(line, flush=True))
    except BenchError as error:
        print(f"NOT RIGHT: {error}\nSee {folder}.")
        return 1
    print("", *shown(result), sep="\n")
    write_json(call, {"machine": machine, "terms": asdict(terms), **asdict(result)})
    if result.objections:
        print(f"The spool, the log and all records are in {folder}.")
        return 1
    shutil.rmtree(folder)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.soak",
        description="mta for a long time under load, while everything around it goes wrong."
        " What it leaves is removed if all held.",
    )
    parser.add_argument("--minutes", type=float, default=10, help="default: %(default)s")
    parser.add_argument(
        "--rate", type=float, default=100, help="messages a second (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of all that is left to chance")
    add_places(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
