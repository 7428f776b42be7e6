"""`mta explain`: what a refusal means, by which rule, where that is written, and what we do."""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping

from mta.model.domain import Host
from mta.model.envelope import Envelope, Recipient
from mta.model.outcome import Outcome, Stage, Verdict, judge, parse_reply
from mta.model.ruling import Response, Ruling
from mta.model.text import printable
from mta.model.trouble import SpoolError

from mta.rules.refusals.classify import Table, ruled

from mta.cli.options import Commands, add_command, with_settings
from mta.cli.queue import held, span
from mta.config import Settings
from mta.config.quantities import shown_duration
from mta.config.refusals import table_of

EXAMPLE = """\
  mta explain "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred" --site yahoo
  mta explain 1m7z3wn9g1c5x237ag --json   # what keeps a message that waits
  mta explain --rule yahoo-tss04"""

_REPLY = re.compile(r"([2-5][0-9]{2})(?:[ -](.*))?", re.DOTALL)

Shown = Mapping[str, object]


def add_to(commands: Commands) -> None:
    """Add `mta explain`."""
    parser = add_command(
        commands,
        "explain",
        about="Say what a server's refusal means, by which rule, and what is done about it.",
        example=EXAMPLE,
    )
    parser.add_argument(
        "what", metavar="REPLY-OR-ID", nargs="?", help="a reply, or the id of a message that waits"
    )
    parser.add_argument("--rule", metavar="ID", help="explain a rule, as events name it")
    parser.add_argument(
        "--site", default="", metavar="NAME", help="who said it: as google, or a host's name"
    )
    parser.add_argument(
        "--stage",
        type=Stage,
        choices=list(Stage),
        default=Stage.RECIPIENT,
        metavar="STAGE",
        help=f"when it was said (default: recipient): {', '.join(Stage)}",
    )
    parser.set_defaults(run=with_settings(explain))


def explain(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print what a refusal, each refusal of a message, or a rule means."""
    if bool(arguments.rule) == bool(arguments.what):
        print("mta explain: expected a reply, an id or --rule, one of them", file=sys.stderr)
        return 2
    table = table_of(settings.refusals)
    try:
        found = list(_explained(settings, table, arguments))
    except (SpoolError, LookupError) as error:
        print(f"mta explain: {printable(str(error.args[0]))}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    for one in found:
        for name, value in one.items():
            print(f"{name:<10} {printable(str(value))}")
        print()
    return 0


def _explained(settings: Settings, table: Table, arguments: argparse.Namespace) -> Iterator[Shown]:
    """Each explanation. Raises LookupError with a sentence, or SpoolError."""
    if arguments.rule:
        yield _of_rule(settings, table, arguments.rule)
        return
    reply = _REPLY.fullmatch(arguments.what.strip())
    if reply is not None:
        parsed = parse_reply(int(reply[1]), " ".join((reply[2] or "").split()))
        outcome = judge(parsed, arguments.stage, Host(arguments.site, "", 0))
        yield _of_outcome(settings, table, outcome)
        return
    for recipient in _message(settings, arguments.what).recipients:
        if not recipient.is_settled:
            yield {"recipient": str(recipient.address), **_of_recipient(settings, table, recipient)}


def _message(settings: Settings, id: str) -> Envelope:
    for envelope, _ in held(settings):
        if envelope.id == id:
            return envelope
    raise LookupError(f'expected a reply as "550 5.1.1 who?", or the id of what waits, got "{id}"')


def _of_recipient(settings: Settings, table: Table, recipient: Recipient) -> Shown:
    if recipient.last is None:
        return {"reply": "none yet: it was not tried"}
    return _of_outcome(settings, table, recipient.last)


def _of_outcome(settings: Settings, table: Table, outcome: Outcome) -> Shown:
    shown = {"reply": str(outcome.reply), "stage": str(outcome.stage)}
    if outcome.verdict is Verdict.DELIVERED or outcome.reply.is_positive:
        return {**shown, "cause": "none: this is no refusal"}
    ruling = ruled(outcome, table).ruling
    assert ruling is not None, "the last rules are about every refusal"
    return {**shown, **_of_ruling(settings, table, ruling, outcome.verdict)}


def _of_rule(settings: Settings, table: Table, id: str) -> Shown:
    rule = table.rule(id)
    if rule is None:
        raise LookupError(f"expected the id of a rule, as events name it, got {id}")
    verdict = Verdict.FAILED if rule.code[:1] == "5" else Verdict.DEFERRED
    patterns = {
        "site": rule.site,
        "code": rule.code,
        "status": rule.status,
        "text": ", ".join(rule.words),
    }
    given = {name: value for name, value in patterns.items() if value}
    return {**given, **_of_ruling(settings, table, rule.ruling, verdict)}


def _of_ruling(settings: Settings, table: Table, ruling: Ruling, verdict: Verdict) -> Shown:
    rule = table.rule(ruling.rule)
    assert rule is not None, "a ruling comes from the table"
    return {
        "cause": str(ruling.cause),
        "rule": ruling.rule,
        "meaning": rule.what,
        "response": str(ruling.response),
        "done": _done(settings, ruling, verdict),
        "source": rule.source,
    }


def _done(settings: Settings, ruling: Ruling, verdict: Verdict) -> str:
    """What becomes of the message and of the mail for the site."""
    after = (
        "The message has failed, and its sender is told."
        if verdict is Verdict.FAILED or ruling.response is Response.FAIL
        else "The message is tried again later."
    )
    lasts = span(ruling.seconds)
    match ruling.response:
        case Response.SLOW:
            return f"Less is sent to this site, for {lasts} at first. {after}"
        case Response.PAUSE:
            return f"Nothing is sent to this site for {lasts}. {after}"
        case Response.REROUTE:
            return f"It goes by the smarthost, where delivery.mode is fallback. Else: {after}"
        case Response.HOLD:
            return _held(settings, ruling, after)
    return after


def _held(settings: Settings, ruling: Ruling, after: str) -> str:
    kept = shown_duration(settings.delivery.hold_for)
    elsewhere = (
        "It goes by the smarthost, where delivery.mode is fallback. Else: "
        if ruling.is_of_our_address
        else ""
    )
    return (
        f"{elsewhere}The message is kept for {kept} since acceptance (delivery.hold_for), tried "
        f"every {span(ruling.seconds)}, and the log has an error. Then: {after}"
    )
