"""`mta tls`: what is known of other domains' TLS, and how to let one go."""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from mta.model.policy import HeldPolicy
from mta.model.text import printable

from mta.rules.tls.memory import Broken, Seen

from mta.edge.memory.tls import FOLDER, ask_to_forget, read_broken, read_policies, read_seen

from mta.cli.options import Commands, add_command, with_settings
from mta.config import Settings
from mta.config.quantities import read_domain
from mta.processes.share import spools_in


def add_to(commands: Commands) -> None:
    """Add `mta tls show` and `mta tls forget`."""
    about = "See what is known of other domains' TLS, whether the server runs or not."
    parser = commands.add_parser("tls", help=about, description=about)
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    showing = add_command(
        actions,
        "show",
        about="Show policies (MTA-STS), domains that are held to the TLS they had, and hosts "
        "whose handshakes fail; half a minute old at most.",
        example="  mta tls show example.com",
    )
    showing.add_argument("name", metavar="NAME", nargs="?", help="of one domain or host alone")
    showing.set_defaults(run=with_settings(show))
    forgetting = add_command(
        actions,
        "forget",
        about="Let go of a domain's policy, and of what its TLS was, within seconds.",
        example="  mta tls forget example.com",
    )
    forgetting.add_argument("domain", metavar="DOMAIN")
    forgetting.set_defaults(run=with_settings(forget))


def show(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print what is in the folders of all processes."""
    try:
        known = _known(settings, arguments.name)
    except (OSError, ValueError) as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(known, indent=2))
        return 0
    for kind, found in known.items():
        for name, facts in found.items():
            print(printable(f"{kind} {name}: {'; '.join(map(_said, facts.items()))}"))
    if not any(known.values()):
        print("nothing is known")
    return 0


def forget(settings: Settings, arguments: argparse.Namespace) -> int:
    """Leave word for every process."""
    try:
        domain = read_domain(arguments.domain)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        asked = [ask_to_forget(folder, domain) for folder in _folders(settings)]
    except OSError as error:
        print(f"cannot be asked for: {error}; run this as the user of mta", file=sys.stderr)
        return 1
    is_asked = any(asked)
    if arguments.json:
        print(json.dumps({"domain": domain, "asked": is_asked}))
    else:
        print(f"{domain}: " + ("let go of within seconds" if is_asked else "nothing is known"))
    return 0


def _folders(settings: Settings) -> list[Path]:
    return [spool / FOLDER for spool in spools_in(settings.spool)]


_Facts = dict[str, dict[str, object]]


def _known(settings: Settings, name: str | None) -> dict[str, _Facts]:
    """What is known of each name; where several processes know it, what the last one knows."""
    folders = _folders(settings)
    policies = dict(one for folder in folders for one in read_policies(folder).items())
    seen = dict(one for folder in folders for one in read_seen(folder))
    broken = dict(one for folder in folders for one in read_broken(folder))
    delivery = settings.delivery
    found = {
        "policy": dict(_policies(policies)),
        "domain": dict(_domains(seen, delivery.tls_memory)),
        "host": dict(_hosts(broken, delivery.handshake_memory)),
    }
    if name is None:
        return found
    return {kind: {n: facts for n, facts in of.items() if n == name} for kind, of in found.items()}


def _policies(held: Mapping[str, HeldPolicy]) -> Iterator[tuple[str, dict[str, object]]]:
    for domain, one in held.items():
        policy = one.policy
        yield (
            domain,
            {
                "mode": policy.mode,
                "mx": policy.mx,
                "fetched": _moment(one.fetched_at),
                "until": _moment(one.expires_at),
            },
        )


def _domains(seen: Mapping[str, Seen], term: float) -> Iterator[tuple[str, dict[str, object]]]:
    for domain, one in seen.items():
        held = {"tls": one.tls_at, "proof": one.proof_at}
        facts = {
            f"held to {what} until": _moment(at + term)
            for what, at in held.items()
            if at and at + term > time.time()
        }
        if facts:
            yield domain, dict(facts)


def _hosts(broken: Mapping[str, Broken], term: float) -> Iterator[tuple[str, dict[str, object]]]:
    for host, one in broken.items():
        if one.failed_at + term > time.time():
            yield (
                host,
                {"connections in clear": one.in_clear, "until": _moment(one.failed_at + term)},
            )


def _said(fact: tuple[str, object]) -> str:
    name, found = fact
    return f"{name} {', '.join(found) if isinstance(found, tuple) else found}"


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
