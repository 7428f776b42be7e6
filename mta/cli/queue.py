"""`mta queue`: what waits, for whom and why; read from the spool, with or without a server."""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from mta.model.envelope import Envelope, Recipient, State
from mta.model.outcome import Outcome
from mta.model.text import printable
from mta.model.trouble import SpoolError

from mta.rules.message.headers import header_of
from mta.rules.refusals.classify import Table, classify

from mta.edge.spool.inspection import inspect, read_content

from mta.cli.options import Commands, add_command, with_settings
from mta.cli.sites import add_sites_to
from mta.config import Settings
from mta.config.refusals import table_of
from mta.processes.share import spools_in

UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def add_to(commands: Commands) -> None:
    """Add `mta queue list` and `mta queue show`."""
    about = "See what waits in the spool, whether the server runs or not."
    parser = commands.add_parser("queue", help=about, description=about)
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = add_command(
        actions,
        "list",
        about="List what waits: id, age, size, sender; each recipient with its last answer.",
        example="  mta queue list --json",
    )
    listing.set_defaults(run=with_settings(list_queue))
    one = add_command(
        actions,
        "show",
        about="Show one message: every recipient, and the header.",
        example="  mta queue show 1m7z3wn9g1c5x237ag",
    )
    one.add_argument("id", metavar="ID", help="as in `mta queue list` and in the events")
    one.set_defaults(run=with_settings(show_message))
    add_sites_to(actions)


def list_queue(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print all that is unsettled."""
    table = table_of(settings.refusals)
    try:
        envelopes = _envelopes(settings)
    except SpoolError as error:
        return _trouble(error)
    if arguments.json:
        print(json.dumps([_plain(envelope, table) for envelope in envelopes], indent=2))
        return 0
    now = time.time()
    for envelope in envelopes:
        print(_headline(envelope, now))
        for recipient in envelope.recipients:
            if not recipient.is_settled:
                print(f"    {_state(recipient, now, table)}")
    print(_count(envelopes))
    return 0


def show_message(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print one message's envelope and header."""
    table = table_of(settings.refusals)
    try:
        found = [(one, spool) for one, spool in held(settings) if one.id == arguments.id]
        if not found:
            print(f"{arguments.id}: no such message waits here", file=sys.stderr)
            return 1
        envelope, spool = found[0]
        header = header_of(read_content(spool, envelope.id))
    except (SpoolError, KeyError) as error:
        return _trouble(error)
    if arguments.json:
        shown = _plain(envelope, table) | {"header": header.decode("utf-8", "backslashreplace")}
        print(json.dumps(shown, indent=2))
        return 0
    now = time.time()
    print(_headline(envelope, now))
    for recipient in envelope.recipients:
        print(f"    {_state(recipient, now, table)}")
    print()
    for line in header.decode("utf-8", "backslashreplace").split("\r\n"):
        print(printable(line.expandtabs()))
    return 0


def _envelopes(settings: Settings) -> list[Envelope]:
    return sorted(
        (envelope for envelope, _ in held(settings)), key=lambda envelope: envelope.accepted_at
    )


def held(settings: Settings) -> list[tuple[Envelope, Path]]:
    """All that is unsettled, and the spool that holds it: each process has one.

    Raises SpoolError.
    """
    try:
        is_there = settings.spool.is_dir()
    except OSError as error:  # a folder above it is shut to us
        raise SpoolError(
            f"the spool {settings.spool} cannot be read: {error.strerror}; "
            "run this as the user that mta runs as"
        ) from error
    if not is_there:
        raise SpoolError(
            f"expected a spool at {settings.spool}, found none: give the server's --config, "
            "or start `mta serve`, which makes one"
        )
    return [(envelope, spool) for spool in spools_in(settings.spool) for envelope in inspect(spool)]


def _trouble(error: Exception) -> int:
    print(f"mta queue: {error}", file=sys.stderr)
    return 1


def _headline(envelope: Envelope, now: float) -> str:
    age = span(now - envelope.accepted_at)
    sender = printable(str(envelope.sender or ""))
    return f"{envelope.id}  {age}  {envelope.size} bytes  from <{sender}>"


def _state(recipient: Recipient, now: float, table: Table) -> str:
    words = [str(recipient.address), f"{recipient.state}, tried {recipient.attempts}"]
    if recipient.state is State.WAITING:
        words.append("due now" if recipient.next_at <= now else _again(recipient, now))
    if recipient.rerouted is not None:
        words.append(f"left the direct road ({recipient.rerouted})")
    if recipient.last is not None:
        words.append(_said(recipient.last, table))
    return printable(": ".join(words))


def _again(recipient: Recipient, now: float) -> str:
    word = "again in" if recipient.last else "held for"
    return f"{word} {span(recipient.next_at - now)} by {_way(recipient)}"


def _way(recipient: Recipient) -> str:
    return f"route {recipient.route}" if recipient.route else f"{recipient.road} road"


def _said(outcome: Outcome, table: Table) -> str:
    where = f" at {outcome.host}" if outcome.host else ""
    ruling = classify(outcome, table=table)
    return f"{outcome.reply}{where}" + (f" [{ruling.rule}]" if ruling else "")


def _count(envelopes: list[Envelope]) -> str:
    waiting = sum(
        recipient.state is State.WAITING
        for envelope in envelopes
        for recipient in envelope.recipients
    )
    return f"{len(envelopes)} messages, {waiting} recipients waiting"


def span(seconds: float) -> str:
    """A length of time in its largest unit, as in "4m"."""
    for unit, size in UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return "0s"


def _plain(envelope: Envelope, table: Table) -> dict[str, object]:
    return {
        "id": envelope.id,
        "sender": str(envelope.sender or ""),
        "accepted_at": _iso(envelope.accepted_at),
        "size": envelope.size,
        "recipients": [dict(_plain_recipient(one, table)) for one in envelope.recipients],
    }


def _plain_recipient(recipient: Recipient, table: Table) -> Iterator[tuple[str, object]]:
    yield "address", str(recipient.address)
    yield "state", str(recipient.state)
    yield "attempts", recipient.attempts
    yield "road", str(recipient.road)
    if recipient.route:
        yield "route", recipient.route
    if recipient.rerouted is not None:
        yield "rerouted", str(recipient.rerouted)
    if recipient.state is State.WAITING:
        yield "next_at", _iso(recipient.next_at)
    if recipient.last is not None:
        yield "host", str(recipient.last.host or "") or None
        yield "stage", str(recipient.last.stage)
        yield "reply", str(recipient.last.reply)
        ruling = classify(recipient.last, table=table)
        yield "cause", str(ruling.cause) if ruling else None
        yield "rule", ruling.rule if ruling else None


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
