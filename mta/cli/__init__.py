"""The commands that a person types: one module each, with `add_to` and what it runs."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS: tuple[str, ...] = ("serve", "check", "queue", "dkim", "user", "sandbox")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives 0, 1 (it did not work) or 2 (called or configured wrong)."""
    parser = argparse.ArgumentParser(
        prog="mta",
        description="The mail server that an application's own host needs.",
        epilog="Try `mta serve` first; each command answers --help with an example.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    # The command that was called is loaded alone: it starts sooner, and lighter.
    called = sys.argv[1:2] if argv is None else argv[:1]
    for name in [name for name in COMMANDS if name in called] or COMMANDS:
        import_module(f"mta.cli.{name}").add_to(commands)
    arguments = parser.parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except BrokenPipeError:  # `mta queue list | head` is no failure
        sys.stderr.close()
        return 0
    return status
