"""`mta dkim`: keys, the DNS records that publish them, and how far each has come."""

import argparse
import json
import math
import sys
import time
from pathlib import Path
from textwrap import indent

from mta.model.trouble import SigningError

from mta.rules.message.dkimrecord import DkimRecord, KeyKind
from mta.rules.message.keyterm import KeyState, KeyTerm

from mta.edge.keys import new_key

from mta.cli.dkimrecords import add_domain, add_kind, as_json, for_people, read_by
from mta.cli.dkimrotate import EXAMPLE as EXAMPLE_ROTATE
from mta.cli.dkimrotate import FIRST_SELECTORS, add_rotate
from mta.cli.options import DEFAULT_CONFIG, Commands, add_command, config_path, with_settings
from mta.config import ConfigError, Settings
from mta.config.dkim import key_path, shown_moment
from mta.config.document import as_yaml
from mta.config.quantities import read_selector
from mta.wiring.keyring import HeldKey, Keyring

EXAMPLE_NEW = """\
  mta dkim new example.com                  # keys/example.com.s1.pem and what to put in the DNS
  mta dkim new example.com --kind ed25519 --selector e1   # for a second signature"""

EXAMPLE_SHOW = """\
  mta dkim show                             # the records that the DNS has to have
  mta dkim show example.com --json"""


def add_to(commands: Commands) -> None:
    """Add `mta dkim`, with what stands below it."""
    about = "Make DKIM keys, change them, and print the DNS records that publish them."
    parser = commands.add_parser(
        "dkim",
        help=about,
        description=about,
        epilog=f"example:\n{EXAMPLE_NEW}\n{EXAMPLE_ROTATE}\n{EXAMPLE_SHOW}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    below = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_new(below)
    _add_show(below)
    add_rotate(below)
    _add_list(below)


def _add_new(commands: Commands) -> None:
    parser = add_command(
        commands,
        "new",
        about="Make a key for a domain, to be put into config.yaml by hand.",
        example=EXAMPLE_NEW,
    )
    add_domain(parser)
    parser.add_argument(
        "--selector",
        type=read_by(read_selector),
        help="the key's name (default: s1, or e1 for Ed25519)",
    )
    add_kind(parser)
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
    add_domain(parser, is_optional=True)
    parser.set_defaults(run=with_settings(show))


def _add_list(commands: Commands) -> None:
    parser = add_command(
        commands,
        "list",
        about="Print how far each key has come, and what may be taken out of the DNS.",
        example="  mta dkim list",
    )
    parser.set_defaults(run=with_settings(show_states))


def new(arguments: argparse.Namespace) -> int:
    """Make a key; never over another one."""
    home = (config_path(arguments) or DEFAULT_CONFIG).parent
    folder: Path = arguments.dir or home / "keys"
    kind: KeyKind = arguments.kind
    selector = arguments.selector or FIRST_SELECTORS[kind]
    path = key_path(folder, arguments.domain, selector)
    if "." not in arguments.domain:
        print(f"{arguments.domain}: has no dot: no receiver knows it", file=sys.stderr)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = new_key(path, kind)
    except FileExistsError:
        print(f"{path}: is there already and stays; choose another --selector", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{path}: {error.strerror}", file=sys.stderr)
        return 1
    record = DkimRecord(arguments.domain, selector, key.public, kind)
    if arguments.json:
        print(json.dumps({"key": str(path), **as_json(record)}, indent=2))
    else:
        print(f"Made {path}, which only you can read. To use it:\n")
        print(f"1. Publish its public half, a TXT record in the DNS.\n\n{for_people(record)}")
        print(f"2. Put this into config.yaml.\n\n{_for_config(record, path, home)}")
        print("3. Run `mta check`, then start mta again or send it SIGHUP.")
    return 0


def show(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the records that the DNS has to have, of all domains or of one."""
    keys, now = _keys_of(settings, arguments.domain), time.time()
    if keys is None:
        return 1
    needed = [held for held in keys if held.term.state_at(now) is not KeyState.RETIRED]
    records = [held.record for held in needed]
    if arguments.json:
        print(json.dumps([as_json(record) for record in records], indent=2))
    else:
        print("\n".join(for_people(record) for record in records), end="")
    return 0


def show_states(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print how far each key has come."""
    keys, now = _keys_of(settings, None), time.time()
    if keys is None:
        return 1
    if arguments.json:
        print(json.dumps([_state_as_json(held.term, held.path, now) for held in keys], indent=2))
        return 0
    for held in keys:
        print(f"{held.record.name}  {held.term.kind}  {_in_words(held.term, now)}")
    return 0


def _keys_of(settings: Settings, domain: str | None) -> list[HeldKey] | None:
    """The keys of all domains, or of one; None where there are none, which is said."""
    try:
        keys = [one for one in Keyring(settings).keys if domain in (None, one.term.domain)]
    except (SigningError, ConfigError) as error:
        print(error, file=sys.stderr)
        return None
    if not keys:
        whose = domain or "any domain"
        print(
            f"expected a key for {whose} in the settings; `mta dkim rotate` makes one",
            file=sys.stderr,
        )
        return None
    return keys


def _in_words(term: KeyTerm, now: float) -> str:
    """How far a key has come, as people say it."""
    match term.state_at(now):
        case KeyState.WAITING:
            return "waits until the DNS shows its record"
        case KeyState.PLANNED:
            return f"will sign from {shown_moment(term.signs_from or 0)} on"
        case KeyState.RETIRING:
            return f"signs no more; its record must stay until {shown_moment(term.published_until)}"
        case KeyState.RETIRED:
            return "retired: its record may be taken out of the DNS, and its file deleted"
    if math.isinf(term.signs_until):
        return "signs"
    return f"signs until {shown_moment(term.signs_until)}"


def _state_as_json(term: KeyTerm, path: Path, now: float) -> dict[str, object]:
    moments = {
        "signs_from": term.signs_from,
        "signs_until": term.signs_until,
        "published_until": term.published_until,
    }
    return {
        "domain": term.domain,
        "selector": term.selector,
        "kind": term.kind,
        "state": term.state_at(now),
        "key": str(path),
        **{
            name: shown_moment(at)
            for name, at in moments.items()
            if at is not None and math.isfinite(at)
        },
    }


def _for_config(record: DkimRecord, path: Path, home: Path) -> str:
    """The lines to paste. The settings' paths are relative to their file's folder, `home`."""
    key = path.relative_to(home) if path.is_relative_to(home) else path.absolute()
    entry = {"domain": record.domain, "selector": record.selector, "key": str(key)}
    return indent(as_yaml({"dkim": [entry]}), "   ")
