"""The commands that a person types: one module each, with `add_to` and what it runs."""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

COMMANDS: tuple[str, ...] = (
    "serve",
    "check",
    "queue",
    "explain",
    "route",
    "sendmail",
    "dkim",
    "user",
    "tls",
    "doctor",
    "sandbox",
)
LINKS = ("sendmail", "mailq", "newaliases")  # names by which we are another program


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives 0, 1 (it did not work) or 2 (called or configured wrong).

    Where we are called as sendmail(1), or as `mta sendmail`, its options and codes hold instead.
    """
    if argv is None and Path(sys.argv[0]).name in LINKS:
        return _sendmail(Path(sys.argv[0]).name, sys.argv[1:])
    words = sys.argv[1:] if argv is None else argv
    if list(words[:1]) == ["sendmail"]:
        return _sendmail("mta sendmail", words[1:])
    return _command(argv)


def _sendmail(name: str, arguments: Sequence[str]) -> int:
    from mta.cli import sendmail

    return sendmail.run(name, arguments)


def _command(argv: Sequence[str] | None) -> int:
    import argparse

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
