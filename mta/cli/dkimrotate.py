"""`mta dkim rotate`: another key takes its place when the whole DNS shows it, and no sooner."""

import argparse
import asyncio
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from mta.model.trouble import NoNameserver, SigningError

from mta.rules.message.dkimrecord import DkimRecord, KeyKind
from mta.rules.message.keyterm import OVERLAP, KeyTerm, next_selector, pause_before_look, to_replace

from mta.flow.keyrecords import KeyRecords, is_everywhere

from mta.edge.keys import new_key

from mta.cli.dkimrecords import add_domain, add_kind, as_json, for_people, read_by
from mta.cli.options import Commands, add_command, with_settings
from mta.config import ConfigError, Settings
from mta.config.dkim import RotatedKey, key_path, shown_moment
from mta.config.quantities import read_duration, read_selector, shown_duration
from mta.wiring.keyring import HeldKey, Keyring
from mta.wiring.keywatch import have_sign, missing, word_of_change
from mta.wiring.names import key_records_for, lookup_for

EXAMPLE = """\
  mta dkim rotate example.com               # makes the next key, and waits for the DNS to show it
  mta dkim rotate example.com --wait 0      # the same, but it is the server that waits"""

FIRST_SELECTORS = {KeyKind.RSA: "s1", KeyKind.ED25519: "e1"}


class Refused(Exception):
    """What was asked for cannot be; the message says why."""


def add_rotate(commands: Commands) -> None:
    """Add `mta dkim rotate`."""
    parser = add_command(
        commands,
        "rotate",
        about="Make a domain's next key, and have it sign when all servers of the zone show it.",
        example=EXAMPLE,
    )
    add_domain(parser)
    parser.add_argument(
        "--selector",
        type=read_by(read_selector),
        help="the new key's name (default: counted up, as in s2)",
    )
    add_kind(parser)
    parser.add_argument(
        "--overlap",
        type=read_by(read_duration),
        default=OVERLAP,
        metavar="TIME",
        help="how long the old record has to stay after that (default: 7d)",
    )
    parser.add_argument(
        "--wait",
        type=read_by(read_duration),
        metavar="TIME",
        help="how long to wait here (default: until it is done); the server looks as well",
    )
    parser.add_argument(
        "--now", action="store_true", help="sign with it at once, whatever the DNS shows"
    )
    parser.set_defaults(run=with_settings(rotate))


def rotate(settings: Settings, arguments: argparse.Namespace) -> int:
    """Begin a rotation, or go on with one that has begun."""
    try:
        keyring = Keyring(settings)
        term = _waiting(keyring, arguments) or _begun(keyring, settings, arguments)
        (held,) = [one for one in keyring.read() if _names(one, term)]
        if not arguments.json:
            print(_introduced(held.record, key_path(settings.dkim_keys, *_name(term))))
        has_switched = _switched(keyring, held, settings, arguments)
    except (Refused, SigningError, ConfigError, NoNameserver) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or settings.dkim_keys}: {error.strerror}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps({**as_json(held.record), "signs": has_switched}, indent=2))
    elif has_switched:
        print(word_of_change(term))
    else:
        print("It waits: the server looks every few minutes, or run this again.")
    return 0 if has_switched or arguments.wait == 0 else 1


def _name(term: KeyTerm) -> tuple[str, str]:
    return term.domain, term.selector


def _names(held: HeldKey, term: KeyTerm) -> bool:
    return _name(held.term) == _name(term)


def _waiting(keyring: Keyring, arguments: argparse.Namespace) -> KeyTerm | None:
    """The key that waits already: there is one rotation at a time."""
    for held in keyring.keys:
        term = held.term
        is_same = (term.domain, term.kind) == (arguments.domain, arguments.kind)
        if is_same and term.signs_from is None:
            if arguments.selector not in (None, term.selector):
                raise Refused(
                    f"{term.selector} of {term.domain} waits already; finish with it, or take it "
                    f"out of {keyring.index.path}"
                )
            return term
    return None


def _begun(keyring: Keyring, settings: Settings, arguments: argparse.Namespace) -> KeyTerm:
    """Make a key, and enter it as one that waits. Raises Refused and OSError."""
    domain, kind, now = arguments.domain, arguments.kind, time.time()
    replaced = to_replace([held.term for held in keyring.keys], domain, kind, now)
    selector = arguments.selector or _next(keyring, settings, domain, kind, replaced)
    _have_folder(settings)
    path = key_path(settings.dkim_keys, domain, selector)
    if selector in _taken(keyring, domain) or path.exists():
        raise Refused(f"{selector} of {domain} is there already; choose another --selector")
    if arguments.overlap < settings.delivery.give_up_after:
        tried = shown_duration(settings.delivery.give_up_after)
        print(f"warning: mail is tried for {tried}, longer than --overlap", file=sys.stderr)
    entry = RotatedKey.model_validate(
        {
            "domain": domain,
            "selector": selector,
            "kind": kind,
            "made": shown_moment(now),
            "replaces": replaced,
            "overlap": shown_duration(arguments.overlap),
        }
    )
    new_key(path, kind)
    _give_to_owner_of(settings.dkim_keys, path)
    keyring.index.change(lambda keys: [*keys, entry])
    return entry.term


def _taken(keyring: Keyring, domain: str) -> set[str]:
    return {held.term.selector for held in keyring.keys if held.term.domain == domain}


def _next(
    keyring: Keyring, settings: Settings, domain: str, kind: KeyKind, replaced: tuple[str, ...]
) -> str:
    files = settings.dkim_keys.glob(f"{domain}.*.pem")
    named = {path.name.removeprefix(f"{domain}.").removesuffix(".pem") for path in files}
    taken = _taken(keyring, domain) | named
    if replaced:
        return next_selector(taken, replaced[-1])
    first = FIRST_SELECTORS[kind]
    return first if first not in taken else next_selector(taken, first)


def _have_folder(settings: Settings) -> None:
    """Make the folder of keys where it is missing, for whom the spool belongs to."""
    folder = settings.dkim_keys
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True)
        if settings.spool.is_dir():
            _give_to_owner_of(settings.spool, folder)


def _give_to_owner_of(other: Path, path: Path) -> None:
    """Root made it, and the server, which is somebody else, is to use it."""
    owner = other.stat()
    with suppress(PermissionError):
        os.chown(path, owner.st_uid, owner.st_gid)


def _introduced(record: DkimRecord, path: Path) -> str:
    return (
        f"The next key of {record.domain} is {path}. Publish its public half, a TXT record in the "
        f"DNS:\n\n{for_people(record)}"
    )


def _switched(
    keyring: Keyring, held: HeldKey, settings: Settings, arguments: argparse.Namespace
) -> bool:
    """Whether the key signs from now on, because it is in the DNS or is not to wait for it."""
    if not arguments.now:
        if arguments.wait == 0:
            return False
        records = key_records_for(settings, lookup_for(settings))
        limit = None if arguments.wait is None else time.monotonic() + arguments.wait
        try:
            if not asyncio.run(_is_seen(records, held, limit, is_told=not arguments.json)):
                return False
        except KeyboardInterrupt:
            print()
            return False
    have_sign(keyring.index, held.term, time.time())
    return True


async def _is_seen(
    records: KeyRecords, held: HeldKey, limit: float | None, *, is_told: bool
) -> bool:
    """Whether all servers show the record before `limit`, by the monotonic clock."""
    began_at, said = time.monotonic(), [""]
    while True:
        sightings = await records.sightings(held.record)
        if is_everywhere(sightings):
            return True
        if is_told and missing(sightings) != said:
            said = missing(sightings)
            print("Waiting for the DNS:\n" + "".join(f"   {text}\n" for text in said), flush=True)
        now = time.monotonic()
        pause = pause_before_look(now - began_at)
        if limit is not None and now + pause > limit:
            return False
        await asyncio.sleep(pause)
