"""Every target under a coverage-guided fuzzer, for so many minutes each. Needs atheris.

What breaks an invariant is kept in a file; `--again FILE` tries it once more.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.targets import SEEDS, TARGETS


def main() -> int:
    """Fuzz; 0 where nothing was found."""
    call = _parser().parse_args()
    if call.again is not None:
        TARGETS[call.targets[0]](call.again.read_bytes())
        return 0
    call.findings.mkdir(parents=True, exist_ok=True)
    found = [name for name in call.targets or TARGETS if not _is_sound(name, call)]
    print(f"\n{', '.join(found) or 'nothing'} found", flush=True)
    return 1 if found else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], default=[], metavar="TARGET")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each target")
    parser.add_argument("--findings", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--again", type=Path, metavar="FILE", help="try a finding again")
    return parser


def _is_sound(name: str, call: argparse.Namespace) -> bool:
    print(f"{name}: {TARGETS[name].__doc__} ...", flush=True)
    with tempfile.TemporaryDirectory(prefix="mta-fuzz-") as corpus:
        for number, seed in enumerate(SEEDS[name]):
            Path(corpus, str(number)).write_bytes(seed)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tests.fuzz.guided", name, corpus),
                *(f"-max_total_time={int(call.minutes * 60)}", "-max_len=2048", "-timeout=20"),
                f"-artifact_prefix={call.findings}/{name}-",
            ],
            capture_output=True,
            check=False,
        )
    said = done.stderr.decode("utf-8", "replace") + done.stdout.decode("utf-8", "replace")
    summary = [line for line in said.splitlines() if line.startswith("Done ")]
    print("  " + (summary[-1] if done.returncode == 0 and summary else said[-3000:]), flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
