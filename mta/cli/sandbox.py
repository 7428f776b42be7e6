"""`mta sandbox`: a small Internet on loopback, with the server in it, to send mail to."""

import argparse
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from mta.cli.options import Commands
from mta.sandbox.characters import SENDER_DOMAIN, Character
from mta.sandbox.internet import Internet
from mta.sandbox.loopback import SandboxError
from mta.sandbox.process import ServerProcess

PATIENCE = "60s"  # how long mail is tried: nobody here waits five days to see a report
STOP_LIMIT = 40.0  # seconds; deliveries under way get thirty


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "sandbox",
        help="Try everything out, on loopback alone.",
        description="Start a DNS server and mail exchangers with characters on loopback, and a "
        "server that delivers to them. Nothing leaves this machine. Ctrl-C ends it.",
        epilog="example:\n  mta sandbox --folder /tmp/sandbox --port 8025",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("sandbox"),
        help="where mail, keys, configuration and spool are kept (default: ./sandbox)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8025,
        help="where the server listens (default: 8025; 0: any); HTTP is at the next",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run it until Ctrl-C or SIGTERM."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # the latter when the terminal closes
        signal.signal(number, _interrupt)
    say = _say_apart if arguments.json else _say
    try:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        with (
            Internet(arguments.folder) as internet,
            ServerProcess(_settings(internet, arguments), internet.world.folder, say) as server,
        ):
            _show_guide(internet.world.characters, server, is_json=arguments.json)
            return _followed(server)
    except (SandboxError, OSError) as error:
        print(f"The sandbox cannot run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before the server was there
        return 0


def _settings(internet: Internet, arguments: argparse.Namespace) -> dict[str, Any]:
    settings = internet.world.settings(f"127.0.0.1:{arguments.port}")
    settings["delivery"]["give_up_after"] = PATIENCE
    settings["admin"] = {"address": f"127.0.0.1:{arguments.port and arguments.port + 1}"}
    users = internet.world.folder / "users.yaml"
    users.touch(mode=0o600)
    settings["users"] = str(users)
    is_for_people = sys.stdout.isatty() and not arguments.json
    settings["log"] = {"events": "people" if is_for_people else "json"}
    return settings


def _followed(server: ServerProcess) -> int:
    try:
        return server.ended(None)
    except KeyboardInterrupt:
        print("\nStopping ...", file=sys.stderr)
        return server.stop(STOP_LIMIT)


def _show_guide(characters: Sequence[Character], server: ServerProcess, *, is_json: bool) -> None:
    if is_json:
        does = {character.domain: character.does for character in characters}
        facts = {"port": server.port, "config": str(server.config), "characters": does}
        print(json.dumps(facts), flush=True)
    else:
        print("\n".join(_guide(characters, server)), flush=True)


def _guide(characters: Sequence[Character], server: ServerProcess) -> Iterator[str]:
    yield f"\nA server listens at 127.0.0.1:{server.port}. Who lives in the sandbox:\n"
    for character in characters:
        who = ", ".join(expected.recipient for expected in character.expected)
        yield f"  {who:<38} {character.does}"
    yield "\nSend to one of them, from another terminal:\n"
    yield f"  {_example('anna@grey.test', server.port)}"
    yield f"\nAccepted mail appears in {server.config.parent / 'mail'}, reports to"
    yield f"app@{SENDER_DOMAIN} in {SENDER_DOMAIN} there. The same server answers to, for instance:"
    yield f"\n  mta queue list --config {server.config}"
    yield f"  mta user add app --no-password --config {server.config}"
    yield f"  mta user token add app --config {server.config}    # a token for HTTP"
    yield "\nWhat happens is told below. Ctrl-C ends it.\n"


def _example(recipient: str, port: int) -> str:
    sender = f"app@{SENDER_DOMAIN}"
    letter = rf"From: {sender}\nTo: {recipient}\nSubject: Hello\n\nHi!\n"
    return (
        f"printf '{letter}' | curl -sS smtp://127.0.0.1:{port} "
        f"--mail-from {sender} --mail-rcpt {recipient} -T -"
    )


def _say(line: str) -> None:
    print(line, flush=True)


def _say_apart(line: str) -> None:
    """Events where programs read them, and the server's words about itself where they do not."""
    print(line, file=sys.stdout if line.startswith("{") else sys.stderr, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
