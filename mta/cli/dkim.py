"""`mta dkim new` and `mta dkim show`: keys, and the DNS records that publish them."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import indent

from mta.model.trouble import SigningError

from mta.rules.message.dkimrecord import DkimRecord

from mta.edge.keys import load_key, new_key

from mta.cli.options import DEFAULT_CONFIG, Commands, add_command, config_path, with_settings
from mta.config import Settings
from mta.config.document import as_yaml
from mta.config.quantities import read_domain, read_selector

EXAMPLE_NEW = """\
  mta dkim new example.com                  # keys/example.com.s1.pem and what to put in the DNS
  mta dkim new example.com --selector s2    # a second key, to change over to"""

EXAMPLE_SHOW = """\
  mta dkim show                             # the records of every key in config.yaml
  mta dkim show example.com --json"""


def add_to(commands: Commands) -> None:
    """Add `mta dkim`, with what stands below it."""
    about = "Make DKIM keys and print the DNS records that publish them."
    parser = commands.add_parser(
        "dkim",
        help=about,
        description=about,
        epilog=f"example:\n{EXAMPLE_NEW}\n{EXAMPLE_SHOW}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    below = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_new(below)
    _add_show(below)


def _add_new(commands: Commands) -> None:
    parser = add_command(
        commands, "new", about="Make a key of 2048 bits for a domain.", example=EXAMPLE_NEW
    )
    parser.add_argument("domain", type=_read_by(read_domain), metavar="DOMAIN")
    parser.add_argument(
        "--selector",
        type=_read_by(read_selector),
        default="s1",
        help="the key's name (default: s1)",
    )
    parser.add_argument(
        "--dir", type=Path, help="where to keep it (default: keys, beside the configuration)"
    )
    parser.set_defaults(run=new)


def _add_show(commands: Commands) -> None:
    parser = add_command(
        commands,
        "show",
        about="Print the DNS records of the configured keys.",
        example=EXAMPLE_SHOW,
    )
    parser.add_argument("domain", type=_read_by(read_domain), metavar="DOMAIN", nargs="?")
    parser.set_defaults(run=with_settings(show))


def new(arguments: argparse.Namespace) -> int:
    """Make a key; never over another one."""
    home = (config_path(arguments) or DEFAULT_CONFIG).parent
    folder: Path = arguments.dir or home / "keys"
    path = folder / f"{arguments.domain}.{arguments.selector}.pem"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = new_key(path)
    except FileExistsError:
        print(f"{path}: is there already and stays; choose another --selector", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{path}: {error.strerror}", file=sys.stderr)
        return 1
    record = DkimRecord(arguments.domain, arguments.selector, key.public)
    if arguments.json:
        print(json.dumps({"key": str(path), **_as_json(record)}, indent=2))
    else:
        print(f"Made {path}, which only you can read. To use it:\n")
        print(f"1. Publish its public half, a TXT record in the DNS.\n\n{_for_people(record)}")
        print(f"2. Put this into config.yaml.\n\n{_for_config(record, path, home)}")
        print("3. Run `mta check`, then start mta again or send it SIGHUP.")
    return 0


def show(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the records of the configured keys, or of one domain's."""
    wanted = [key for key in settings.dkim if arguments.domain in (None, key.domain)]
    if not wanted:
        whose = arguments.domain or "any domain"
        print(
            f"expected a key for {whose} in the settings; `mta dkim new` makes one", file=sys.stderr
        )
        return 1
    try:
        records = [DkimRecord(key.domain, key.selector, load_key(key.key).public) for key in wanted]
    except SigningError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps([_as_json(record) for record in records], indent=2))
    else:
        print("\n".join(_for_people(record) for record in records), end="")
    return 0


def _as_json(record: DkimRecord) -> dict[str, object]:
    return {
        "domain": record.domain,
        "selector": record.selector,
        "name": record.name,
        "value": record.value,
        "strings": record.strings,
    }


def _for_people(record: DkimRecord) -> str:
    form = f"name:  {record.name}\nvalue: {record.value}\n"
    return indent(f"{form}\nIn a zone file that is:\n\n{record.zone_lines}\n", "   ")


def _for_config(record: DkimRecord, path: Path, home: Path) -> str:
    """The lines to paste. The settings' paths are relative to their file's folder, `home`."""
    key = path.relative_to(home) if path.is_relative_to(home) else path.absolute()
    entry = {"domain": record.domain, "selector": record.selector, "key": str(key)}
    return indent(as_yaml({"dkim": [entry]}), "   ")


def _read_by(reader: Callable[[object], str]) -> Callable[[str], str]:
    """`reader` as the type of an argument, whose refusal is argparse's own."""

    def read(text: str) -> str:
        try:
            return reader(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error}, got {text!a}") from error

    return read
