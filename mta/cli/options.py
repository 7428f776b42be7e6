"""What all commands share: their --config and --json, and what a wrong configuration answers."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from mta.config import ConfigError, Settings, load_settings
from mta.config.brief import CONFIG_VARIABLE

# What `add_subparsers` gives; argparse has no public name for it.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001

DEFAULT_CONFIG = Path("config.yaml")


def add_command(
    commands: Commands, name: str, *, about: str, example: str
) -> argparse.ArgumentParser:
    """A parser for the command `name`, with --config and --json; `example` ends its --help."""
    parser = commands.add_parser(
        name,
        help=about,
        description=about,
        epilog=f"example:\n{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the configuration (default: $MTA_CONFIG, or config.yaml in this folder)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    return parser


def config_path(arguments: argparse.Namespace) -> Path | None:
    """The configuration file that was named, or the one that is there, or None."""
    named: Path | None = arguments.config
    if named is None and os.environ.get(CONFIG_VARIABLE):
        return Path(os.environ[CONFIG_VARIABLE])
    if named is None and DEFAULT_CONFIG.exists():
        return DEFAULT_CONFIG
    return named


def with_settings(
    run: Callable[[Settings, argparse.Namespace], int],
) -> Callable[[argparse.Namespace], int]:
    """`run` as a command that reads its settings first; it gives 2 where they are wrong."""

    def command(arguments: argparse.Namespace) -> int:
        try:
            settings = load_settings(config_path(arguments), os.environ)
        except ConfigError as error:
            print_problems(error.problems, is_json=arguments.json)
            return 2
        return run(settings, arguments)

    return command


def print_problems(problems: tuple[str, ...], *, is_json: bool) -> None:
    """Print every mistake of a configuration to standard error."""
    if is_json:
        print(json.dumps({"problems": problems}), file=sys.stderr)
    else:
        print("\n".join(problems), file=sys.stderr)
