"""`mta user`: who may log in, with which passwords and tokens, to send what."""

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from mta.model.text import printable
from mta.model.user import token_digest

from mta.rules.submission.sasl import prepared_name

from mta.edge.passwords import new_token

from mta.cli.options import (
    DEFAULT_CONFIG,
    Commands,
    add_command,
    config_path,
    print_problems,
    with_settings,
)
from mta.cli.password import PoorPassword, hash_of_new
from mta.config import ConfigError, Settings
from mta.config.document import as_yaml
from mta.config.quantities import read_size
from mta.config.rewriting import locked, rewrite
from mta.config.users import Allowed, Entry, Token, objection_to_name, read_sender, read_users

EXAMPLES = {
    "add": """\
  mta user add app@example.com                # asks for the password
  mta user add app --password-file app.password --sender example.com --messages-per-hour 500
  mta user add api --no-password              # then: mta user token add api""",
    "remove": "  mta user remove app",
    "list": "  mta user list --json",
    "passwd": "  mta user passwd app < app.password",
    "token add": "  mta user token add api --label webshop    # prints the token, this once",
    "token remove": "  mta user token remove api 9f86d081        # as mta user token list names it",
    "token list": "  mta user token list api",
}
LEAST_SIZE = 512  # octets, as in the settings
DEFAULT_FILE = "users.yaml"
HEADER = """\
# Who may log in. Written by `mta user`, which keeps no other comments. It may be edited too: what
# is changed counts at once. A user may send from his senders (addresses and domains; none: from
# all that the server takes mail from), and so much at most:
#   per_hour: {messages: 100, recipients: 500, size: 1GiB}, and per_day the same.

"""

Entries = dict[str, Entry]
Run = Callable[[Path, argparse.Namespace], int]


class Refused(Exception):
    """What was asked for cannot be; the message says why."""


# What is typed


def add_to(commands: Commands) -> None:
    """Add `mta user`, with what stands below it."""
    users = _group(commands, "user", "Say who may log in, and what they may send.")
    _add_arguments(_command(users, "add", "Let a user log in.", add))
    _command(users, "remove", "Let a user log in no more.", remove)
    _add_password_file(_command(users, "passwd", "Give a user another password.", passwd))
    _command(users, "list", "Print who may log in.", show, has_name=False)
    tokens = _group(users, "token", "Make tokens for the HTTP API, and take them back.")
    token = _command(tokens, "token add", "Make a token, and print it this once.", add_token)
    token.add_argument("--label", help="what it is for")
    gone = _command(tokens, "token remove", "Take a token back.", remove_token)
    gone.add_argument(
        "id", metavar="ID", help="its first digits, as `mta user token list` has them"
    )
    _command(tokens, "token list", "Print a user's tokens by their ids.", show_tokens)


def _group(commands: Commands, name: str, about: str) -> Commands:
    parser = commands.add_parser(name, help=about, description=about)
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def _command(
    commands: Commands, name: str, about: str, run: Run, *, has_name: bool = True
) -> argparse.ArgumentParser:
    parser = add_command(commands, name.split()[-1], about=about, example=EXAMPLES[name])
    if has_name:
        parser.add_argument("name", type=_name, metavar="NAME")
    parser.set_defaults(run=with_settings(partial(_at_users_file, run)))
    return parser


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    password = parser.add_mutually_exclusive_group()
    _add_password_file(password)
    password.add_argument("--no-password", action="store_true", help="tokens alone")
    parser.add_argument(
        "--sender",
        action="append",
        default=[],
        type=_sender,
        help="an address or a domain to send from (default: all that the server takes mail from)",
    )
    for window in ("hour", "day"):
        parser.add_argument(f"--messages-per-{window}", type=_count, metavar="N")
        parser.add_argument(f"--recipients-per-{window}", type=_count, metavar="N")
        parser.add_argument(f"--size-per-{window}", type=_size, metavar="SIZE", help="as in 1GiB")


def _add_password_file(where: argparse._ActionsContainer) -> None:
    where.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="a file that holds the password alone (default: ask for it, or read standard input)",
    )


def _name(text: str) -> str:
    name = prepared_name(text)
    objection = objection_to_name(name)
    if objection is not None:
        raise argparse.ArgumentTypeError(f"{objection}, got {text!a}")
    return name


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {text!a}")
    return int(text)


def _size(text: str) -> str:
    try:
        octets = read_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}, got {text!a}") from error
    if octets < LEAST_SIZE:
        raise argparse.ArgumentTypeError(f"expected at least {LEAST_SIZE}B, got {text!a}")
    return text


def _sender(text: str) -> str:
    try:
        return read_sender(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}, got {text!a}") from error


# What is done


def add(path: Path, arguments: argparse.Namespace) -> int:
    """Add a user; never over another one."""
    name: str = arguments.name
    _refuse_known(_entries(path), name)  # before a password is typed
    entry = Entry(
        password=None if arguments.no_password else hash_of_new(arguments.password_file),
        senders=tuple(arguments.sender),
        per_hour=_allowed(arguments, "hour"),
        per_day=_allowed(arguments, "day"),
    )

    def change(entries: Entries) -> None:
        _refuse_known(entries, name)
        entries[name] = entry

    _change(path, change)
    return _say(arguments, {"user": name}, f"{name} may log in.")


def remove(path: Path, arguments: argparse.Namespace) -> int:
    """Remove a user, and all tokens of his."""
    name: str = arguments.name

    def change(entries: Entries) -> None:
        _known(entries, name)
        del entries[name]

    _change(path, change)
    return _say(arguments, {"user": name}, f"{name} may log in no more.")


def passwd(path: Path, arguments: argparse.Namespace) -> int:
    """Exchange a user's password."""
    name: str = arguments.name
    _known(_entries(path), name)  # before a password is typed
    hash = hash_of_new(arguments.password_file)

    def change(entries: Entries) -> None:
        entries[name] = _known(entries, name).model_copy(update={"password": hash})

    _change(path, change)
    return _say(arguments, {"user": name}, f"{name} has a new password.")


def show(path: Path, arguments: argparse.Namespace) -> int:
    """Print all users, without what proves who they are."""
    users = {name: _shown(entry) for name, entry in sorted(_entries(path).items())}
    if arguments.json:
        print(json.dumps(users, indent=2))
    else:
        print(as_yaml(users) if users else "Nobody may log in.\n", end="")
    return 0


def add_token(path: Path, arguments: argparse.Namespace) -> int:
    """Make a token and print it; its digest alone is kept."""
    name: str = arguments.name
    text = new_token()
    today = datetime.now(UTC).date().isoformat()
    token = Token(sha256=token_digest(text), label=arguments.label or None, created=today)

    def change(entries: Entries) -> None:
        entry = _known(entries, name)
        entries[name] = entry.model_copy(update={"tokens": (*entry.tokens, token)})

    _change(path, change)
    if not arguments.json:
        print(text)
    said = {"user": name, "id": token.id, "token": text}
    return _say(arguments, said, "Keep it well: it is shown this once.", is_aside=True)


def remove_token(path: Path, arguments: argparse.Namespace) -> int:
    """Take a token back."""
    name: str = arguments.name

    def change(entries: Entries) -> None:
        entry = _known(entries, name)
        left = tuple(token for token in entry.tokens if token.id != arguments.id)
        if left == entry.tokens:
            raise Refused(f"{name} has no token {arguments.id}; mta user token list {name}")
        entries[name] = entry.model_copy(update={"tokens": left})

    _change(path, change)
    return _say(arguments, {"user": name, "id": arguments.id}, "The token is good no more.")


def show_tokens(path: Path, arguments: argparse.Namespace) -> int:
    """Print a user's tokens, without what they are."""
    tokens = [_shown_token(token) for token in _known(_entries(path), arguments.name).tokens]
    if arguments.json:
        print(json.dumps(tokens, indent=2))
    else:
        print("".join(printable("  ".join(token.values())) + "\n" for token in tokens), end="")
    return 0


# How


def _at_users_file(run: Run, settings: Settings, arguments: argparse.Namespace) -> int:
    """Run a command on the users' file, and say what went wrong."""
    home = (config_path(arguments) or DEFAULT_CONFIG).parent
    path = settings.users or home / DEFAULT_FILE
    try:
        status = run(path, arguments)
    except ConfigError as error:
        print_problems(error.problems, is_json=arguments.json)
        return 2
    except (Refused, PoorPassword) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{path}: {error.strerror}", file=sys.stderr)
        return 1
    if settings.users is None:
        print(f"To use it, put `users: {path.name}` into config.yaml.", file=sys.stderr)
    return status


def _entries(path: Path) -> Entries:
    return read_users(path) if path.exists() else {}


def _change(path: Path, change: Callable[[Entries], None]) -> None:
    """Change the users' file as a whole, while no other command does."""
    with locked(path) as real:
        entries = _entries(real)
        change(entries)
        plain = {name: _plain(entry) for name, entry in entries.items()}
        rewrite(real, HEADER + as_yaml(plain))


def _plain(entry: Entry) -> dict[str, object]:
    return entry.model_dump(mode="json", exclude_defaults=True)


def _shown(entry: Entry) -> dict[str, object]:
    return {
        "has_password": entry.password is not None,
        **{key: value for key, value in _plain(entry).items() if key not in ("password", "tokens")},
        "tokens": [_shown_token(token) for token in entry.tokens],
    }


def _shown_token(token: Token) -> dict[str, str]:
    return {"id": token.id, "created": token.created or "-", "label": token.label or "-"}


def _known(entries: Entries, name: str) -> Entry:
    entry = entries.get(name)
    if entry is None:
        raise Refused(f"there is no user {name}; mta user list names all")
    return entry


def _refuse_known(entries: Entries, name: str) -> None:
    if name in entries:
        raise Refused(f"{name} is there already; mta user passwd gives another password")


def _allowed(arguments: argparse.Namespace, window: str) -> Allowed:
    return Allowed(
        messages=getattr(arguments, f"messages_per_{window}"),
        recipients=getattr(arguments, f"recipients_per_{window}"),
        size=getattr(arguments, f"size_per_{window}"),
    )


def _say(
    arguments: argparse.Namespace, said: dict[str, str], text: str, *, is_aside: bool = False
) -> int:
    """Say that it is done: `said` to programs, `text` to people."""
    if arguments.json:
        print(json.dumps(said))
    else:
        print(text, file=sys.stderr if is_aside else sys.stdout)
    return 0
