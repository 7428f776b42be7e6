"""`python -m tests.bench`: us and Postfix in turn, workload by workload."""

import argparse
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench import ours, postfix
from tests.bench.children import BenchError
from tests.bench.figures import Figures
from tests.bench.growth import __main__ as growth
from tests.bench.machine import busy, machine_line
from tests.bench.options import add_places, write_json
from tests.bench.ours import Ours
from tests.bench.postfix import Postfix
from tests.bench.report import Result, as_json, table
from tests.bench.servers import Side
from tests.bench.trial import measure, syncs_per_message
from tests.bench.workloads import Course, Workload, chosen

GROWTH = "--growth"
FAILURES = (BenchError, OSError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; 0 if all that can run here did, 1 if not, 2 for a wrong call."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if GROWTH in given:
        return growth.main([word for word in given if word != GROWTH])
    call = _parser().parse_args(given)
    try:
        workloads = chosen(call.only, is_quick=call.quick)
    except BenchError as error:
        _say(str(error))
        return 2
    if shutil.which("smtp-source") is None or shutil.which("smtp-sink") is None:
        _say(
            "smtp-source and smtp-sink are not installed; on Debian and Ubuntu: apt install postfix"
        )
        return 1
    sides = _sides(call)
    facts = _facts(call)
    print(f"{facts['machine']}\n")
    results = [
        _run(workload, sides, 1 if call.quick else call.runs, call.folder)
        for workload in workloads
        if _can_run(workload)
    ]
    print(table(results, ours.NAME, postfix.NAME))
    write_json(call, as_json(results, facts, ours.NAME, postfix.NAME))
    return 1 if any(None in runs for result in results for runs in result.runs.values()) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="How fast mta is, beside Postfix."
    )
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=[], metavar="W1,W2", help="these alone"
    )
    parser.add_argument("--runs", type=int, default=3, help="runs of each side (default: 3)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, one run: a try")
    parser.add_argument("--alone", action="store_true", help="without Postfix")
    parser.add_argument(
        "--default", action="store_true", help="beside a Postfix that is not tuned, too"
    )
    parser.add_argument(
        "--processes", type=int, metavar="N", help="beside an mta of so many processes, too"
    )
    parser.add_argument(
        GROWTH, action="store_true", help="growth curves instead; --growth --help says more"
    )
    add_places(parser)
    return parser


def _sides(call: argparse.Namespace) -> list[Side]:
    sides: list[Side] = [Ours()]
    if call.processes is not None:
        sides.append(
            Ours({"processes": call.processes}, f"{ours.NAME}, {call.processes} processes")
        )
    objection = postfix.objection()
    if call.alone:
        return sides
    if objection is not None:
        _say(f"{objection}; we run alone")
        return sides
    sides.append(Postfix())
    if call.default:
        sides.append(Postfix(is_tuned=False))
    return sides


def _facts(call: argparse.Namespace) -> dict[str, object]:
    machine = machine_line(call.folder)
    if postfix.objection() is None:
        machine += f", Postfix {postfix.version()}"
    trouble = busy()
    if trouble is not None:
        _say(trouble)
        machine += f"; {trouble}"
    command = shlex.join(["python", "-m", "tests.bench", *sys.argv[1:]])
    return {"machine": machine, "command": command}


def _can_run(workload: Workload) -> bool:
    if workload.sync_delay and not _has_strace():
        _say(f"{workload.name} is left out: apt install strace")
        return False
    return True


def _run(workload: Workload, sides: Sequence[Side], runs: int, folder: Path) -> Result:
    result = Result(workload, {side.name: [] for side in sides})
    if workload.is_signed and len(sides) > 1 and not postfix.has_opendkim():
        result.remarks.append("Postfix does not sign here; it would with: apt install opendkim")
    for turn in range(runs):
        for side in sides:
            figures = _tried(workload, side, folder, f"run {turn + 1} of {runs}", result)
            result.runs[side.name].append(figures)
    if _has_strace() and workload.course is Course.LOAD and not workload.sync_delay:
        for side in sides:
            _count_syncs(workload, side, folder, result)
    return result


def _tried(
    workload: Workload, side: Side, folder: Path, which: str, result: Result
) -> Figures | None:
    _say(f"{workload.name} {side.name}, {which} ...", end=" ")
    try:
        figures = measure(workload, side, folder)
    except FAILURES as error:
        _say(f"failed: {error}")
        result.remarks.append(f"{side.name} failed: {error}")
        return None
    _say(", ".join(f"{key} {value:.4g}" for key, value in figures.items()))
    return figures


def _count_syncs(workload: Workload, side: Side, folder: Path, result: Result) -> None:
    """Add the syncs to every run: they are counted once, apart."""
    _say(f"{workload.name} {side.name}, syncs ...", end=" ")
    try:
        syncs = syncs_per_message(workload, side, folder)
    except FAILURES as error:
        _say(f"failed: {error}")
        result.remarks.append(f"the syncs of {side.name} could not be counted: {error}")
        return
    _say(f"{syncs:.3g} a message")
    runs = result.runs[side.name]
    runs[:] = [None if run is None else {**run, "syncs": syncs} for run in runs]


def _has_strace() -> bool:
    return shutil.which("strace") is not None


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
