"""`mta route`: which road an address's mail would take, and what that road looks like now."""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Callable, Sequence

from mta.model.address import Address, AddressError, parse_address
from mta.model.domain import Answer, Host
from mta.model.envelope import Destination, Road
from mta.model.trouble import NoNameserver

from mta.rules.delivery.progress import Mode
from mta.rules.message.headers import read_header
from mta.rules.pacing.limits import SiteLimits
from mta.rules.routes.choose import Mail, grounds, objection, route_for_mail

from mta.flow.delivery.courier import Courier, Way
from mta.flow.delivery.scout import Sight, sights
from mta.flow.tls.assurance import Assurance
from mta.flow.tls.dane import Dane
from mta.flow.tls.policies import Policies

from mta.edge.idn import to_ascii
from mta.edge.lookup import DnsLookup
from mta.edge.smtpclient import SmtpConnector

from mta.cli.options import Commands, add_command, with_settings
from mta.cli.routeshown import Decision, Look, for_people, for_programs
from mta.config import Settings
from mta.wiring.fittings import room_of, terms_for
from mta.wiring.names import lookup_for
from mta.wiring.protection import PolicyWeb
from mta.wiring.roads import Ways, fixed_site, rules_for, ways_for

EXAMPLE = """\
  mta route bob@example.com --from app@example.org --tag invoice
  mta route bob@example.com --header "X-Stream: bulk" --live   # connects, and sends no mail"""

HOST_LIMIT = 60.0  # seconds for one host, with --live
ROADS = {
    Mode.DIRECT: (Road.DIRECT,),
    Mode.SMARTHOST: (Road.SMARTHOST,),
    Mode.FALLBACK: (Road.DIRECT, Road.SMARTHOST),
}


def add_to(commands: Commands) -> None:
    """Add `mta route`."""
    parser = add_command(
        commands,
        "route",
        about="Say which route mail for an address takes and why, over which hosts and what TLS.",
        example=EXAMPLE,
    )
    parser.add_argument("address", type=_address, metavar="ADDRESS", help="the recipient")
    parser.add_argument(
        "--from", dest="sender", type=_sender, metavar="ADDRESS", help='its sender; "" for a report'
    )
    parser.add_argument("--user", default="", help="who logged in to hand it in")
    parser.add_argument("--tag", action="append", default=[], help="a tag that it has; repeatable")
    parser.add_argument(
        "--header", action="append", default=[], type=_field, metavar="FIELD",
        help='a field of its header, as in "X-Stream: bulk"; repeatable',
    )  # fmt: skip
    parser.add_argument(
        "--live", action="store_true", help="ask the DNS, connect to each host, and send nothing"
    )
    parser.set_defaults(run=with_settings(route))


def route(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the decision, and with --live what is seen on its roads; gives 1 for no open one."""
    look = Look()

    def heard(kind: str, name: str, answer: Answer[object]) -> None:
        look.answers.append((kind, name, answer))

    try:
        lookup = lookup_for(settings, heard)
        decision = decided(settings, arguments, ways_for(settings, lookup))
    except (NoNameserver, OSError) as error:
        print(f"mta route: {error}", file=sys.stderr)
        return 1
    if arguments.live:
        asyncio.run(_look(settings, arguments.address, decision, lookup, look))
    shown = for_programs if arguments.json else for_people
    print("\n".join(shown(arguments.address, decision, look if arguments.live else None)))
    return 0 if not arguments.live or look.has_open_road else 1


def decided(settings: Settings, arguments: argparse.Namespace, ways: Ways) -> Decision:
    """Which route the message takes that the arguments describe."""
    rules = rules_for(settings.routes)
    header = read_header("".join(f"{one}\r\n" for one in arguments.header).encode() + b"\r\n")
    mail = Mail(arguments.sender, arguments.user, arguments.tag, header)
    name = route_for_mail(rules, arguments.address, mail)
    before = [rule.name for rule in rules].index(name) if name else len(rules)
    terms = terms_for(settings).of(name)
    return Decision(
        name,
        grounds(rules[before]) if name else "no route fits" if rules else "there are no routes",
        {rule.name: objection(rule, mail, arguments.address) for rule in rules[:before]},
        terms,
        {road: ways[name, road] for road in ROADS[terms.mode]},
        tuple(_limits(settings, name, ways[name, road]) for road in ROADS[terms.mode]),
    )


def _limits(settings: Settings, name: str, ways: Sequence[Way]) -> tuple[str, SiteLimits]:
    """The site that mail of a road counts for, "" where each domain has its own; its limits."""
    named = next((one.pacing for one in settings.routes if one.name == name), None)
    site = named or fixed_site(ways) or ""
    return site, room_of(settings).limits_of(site)


async def _look(
    settings: Settings, address: Address, decision: Decision, lookup: DnsLookup, look: Look
) -> None:
    policies = Policies(texts=lookup, web=PolicyWeb(settings, lookup), clock=time.time)
    dane = Dane(lookup=lookup, port=settings.delivery.port)
    assurance = Assurance([dane, policies] if settings.delivery.mta_sts else [dane])
    for road, ways in decision.ways.items():
        domain = address.domain if road is Road.DIRECT else ""
        courier = Courier(
            Destination(road, domain, decision.name),
            ways=ways,
            lookup=lookup,
            own_names={settings.hostname},
            chance=random.random,
            assurance=assurance,
        )
        seen = look.stops[road] = []
        for way in ways:
            if isinstance(way.connector, SmtpConnector):
                seen += await sights(courier, way, HOST_LIMIT)
            else:  # there is nobody to talk with
                seen.append(Sight(Host(way.relay or "", "", 0)))


# Arguments


def _read_by(read: Callable[[str], Address]) -> Callable[[str], Address]:
    def reader(text: str) -> Address:
        try:
            return read(text)
        except AddressError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return reader


_address = _read_by(lambda text: parse_address(text, to_ascii))


def _sender(text: str) -> Address | None:
    return None if text in ("", "<>") else _address(text)


def _field(text: str) -> str:
    name, colon, _ = text.partition(":")
    if not colon or not name.strip().isascii() or not text.isprintable():
        raise argparse.ArgumentTypeError(f'expected a field such as "X-Stream: bulk", got {text!a}')
    return text
