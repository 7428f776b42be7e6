"""`mta doctor`: will mail arrive, and if not, what has to be done?"""

import argparse
import asyncio
import json
import sys

from mta.model.diagnosis import Diagnosis, Grade

from mta.rules.delivery.checkup import is_healthy

from mta.cli.options import Commands, add_command, with_settings
from mta.config import Settings
from mta.config.quantities import read_domain
from mta.wiring.checkup import Checkup
from mta.wiring.fittings import STARTUP_ERRORS

EXAMPLE = """\
  mta doctor                                # the DNS, our names and domains, the machine
  mta doctor example.org                    # and whether example.org's hosts let us in
  mta doctor example.org --json             # {"healthy": ..., "findings": [...]}"""
DEFAULT_DOMAIN = "gmail.com"  # which is there, and greets everybody
WIDTH = 8


def add_to(commands: Commands) -> None:
    """Add `mta doctor`."""
    parser = add_command(
        commands,
        "doctor",
        about=(
            "Examine whether mail will arrive: connects to hosts of DOMAIN, sends nothing. "
            "Status 1 where something must be done."
        ),
        example=EXAMPLE,
    )
    parser.add_argument(
        "domain",
        nargs="?",
        default=DEFAULT_DOMAIN,
        type=_domain,
        metavar="DOMAIN",
        help=f"whose hosts to try (default: {DEFAULT_DOMAIN})",
    )
    parser.set_defaults(run=with_settings(examine))


def examine(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print what is found; 1 where something is wrong."""
    try:
        found = asyncio.run(Checkup(settings, arguments.domain).findings())
    except STARTUP_ERRORS as error:
        print(f"{error}", file=sys.stderr)
        return 1
    if arguments.json:
        findings = [_plain(one) for one in found]
        print(json.dumps({"healthy": is_healthy(found), "findings": findings}, indent=2))
    else:
        print("\n".join(_line(one) for one in found))
    return 0 if is_healthy(found) else 1


def _line(one: Diagnosis) -> str:
    cure = f"\n{' ' * WIDTH}-> {one.cure}" if one.cure and one.grade is not Grade.OK else ""
    return f"{one.grade:<{WIDTH}}{one.subject}: {one.text}{cure}"


def _plain(one: Diagnosis) -> dict[str, str]:
    return {"subject": one.subject, "grade": one.grade, "text": one.text, "cure": one.cure}


def _domain(text: str) -> str:
    try:
        return read_domain(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{error}, got "{text}"') from error
