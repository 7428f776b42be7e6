"""`mta check`: is the configuration right, and what does it come to?"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from mta.model.trouble import NoNameserver

from mta.rules.delivery.families import objection_to
from mta.rules.delivery.progress import Mode

from mta.edge.tls import CertificateError, objection_to_term, server_context

from mta.cli.options import Commands, add_command, print_problems, with_settings
from mta.config import ConfigError, Settings, warnings
from mta.config.document import as_yaml
from mta.config.users import UsersFile
from mta.wiring.forwards import problems_of_forwarding
from mta.wiring.keyring import Keyring, problems_of_keys
from mta.wiring.keywatch import troubles
from mta.wiring.names import key_records_for, lookup_for
from mta.wiring.roads import reach_for

DNS_LIMIT = 10.0  # seconds for all that is asked of the DNS

EXAMPLE = """\
  mta check --config /etc/mta/config.yaml   # status 2 and every mistake, or the settings in force
  MTA_LISTEN__0__ADDRESS=0.0.0.0:25 mta check --json"""


def add_to(commands: Commands) -> None:
    """Add `mta check`."""
    parser = add_command(
        commands,
        "check",
        about="Check the configuration and print the settings in force, secrets hidden.",
        example=EXAMPLE,
    )
    parser.add_argument(
        "--offline", action="store_true", help="ask the DNS nothing: what it shows is not checked"
    )
    parser.set_defaults(run=with_settings(check))


def check(settings: Settings, arguments: argparse.Namespace) -> int:
    """Read what the settings name, and print them."""
    problems = tuple(file_problems(settings))
    if problems:
        print_problems(problems, is_json=arguments.json)
        return 2
    told = [*surprises(settings), *weak_keys(settings)]
    if not arguments.offline:
        told += asyncio.run(names_at_fault(settings))
        told += troubles_in_dns(settings)
    told = list(dict.fromkeys(told))  # two may miss the same name server
    if arguments.json:
        print(json.dumps({"warnings": told}), file=sys.stderr)
        print(json.dumps(settings.shown(), indent=2))
    else:
        print("".join(f"warning: {text}\n" for text in told), end="", file=sys.stderr)
        print(as_yaml(settings.shown()), end="")
    return 0


def troubles_in_dns(settings: Settings) -> list[str]:
    """A warning for every DKIM key that the DNS does not show as it is. Raises SigningError."""
    keys = Keyring(settings).keys
    if not keys:
        return []
    try:
        records = key_records_for(settings, lookup_for(settings))
    except NoNameserver as error:
        return [f"dns.nameservers: {error}"]
    return asyncio.run(troubles(keys, records, time.time()))


def file_problems(settings: Settings) -> Iterator[str]:
    """Everything that is wrong in the files that the settings name."""
    yield from problems_of_keys(settings)
    yield from problems_of_forwarding(settings)
    if settings.tls.certificate and settings.tls.key:
        try:
            server_context(settings.tls.certificate, settings.tls.key)
        except CertificateError as error:
            yield f"tls: {error}"
    try:
        UsersFile(settings.users).read()
    except ConfigError as error:
        yield from (f"users: {problem}" for problem in error.problems)


def surprises(settings: Settings) -> Iterator[str]:
    """What an operator should hear about settings and a certificate that can be used."""
    yield from warnings(settings)
    certificate, key = settings.tls.certificate, settings.tls.key
    if certificate and key:
        with suppress(CertificateError):  # replaced in this moment
            context = server_context(certificate, key)
            objection = objection_to_term(certificate, context, time.time())
            if objection is not None:
                yield f"tls.certificate: {objection}"


def weak_keys(settings: Settings) -> Iterator[str]:
    """A warning for every DKIM key that receivers think little of. Raises SigningError."""
    for held in Keyring(settings).keys:
        if held.key is not None and held.key.is_weak:
            few = f"{held.key.bits} bits are few; 2048 are what receivers ask for"
            yield f"{held.record.name}: {few}"


async def names_at_fault(settings: Settings) -> list[str]:
    """A warning for every address that mail goes out from and whose reverse name does not hold."""
    delivery = settings.delivery
    if delivery.mode is Mode.SMARTHOST:
        return []
    try:
        async with asyncio.timeout(DNS_LIMIT):
            papers = await reach_for(delivery, lookup_for(settings)).papers()
    except TimeoutError:
        return [f"our reverse names cannot be looked up now: no answer within {DNS_LIMIT:g} s"]
    except NoNameserver as error:
        return [f"dns.nameservers: {error}"]
    objections = (objection_to(one, delivery.ipv6) for one in papers)
    return [objection for objection in objections if objection is not None]
