"""What the commands below `mta dkim` share: domains and kinds as arguments, records as output."""

import argparse
from collections.abc import Callable
from textwrap import indent
from typing import TypeVar

from mta.rules.message.dkimrecord import DkimRecord, KeyKind

from mta.config.quantities import read_domain

T = TypeVar("T")


def add_domain(parser: argparse.ArgumentParser, *, is_optional: bool = False) -> None:
    """Have the parser read a domain."""
    count = "?" if is_optional else None
    parser.add_argument("domain", type=read_by(read_domain), metavar="DOMAIN", nargs=count)


def add_kind(parser: argparse.ArgumentParser) -> None:
    """Have the parser read the kind of a key."""
    parser.add_argument(
        "--kind",
        type=KeyKind,
        choices=list(KeyKind),
        default=KeyKind.RSA,
        help="rsa (default; all receivers know it), or ed25519 for a second signature",
    )


def read_by(reader: Callable[[object], T]) -> Callable[[str], T]:
    """`reader` as the type of an argument, whose refusal is argparse's own."""

    def read(text: str) -> T:
        try:
            return reader(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error}, got {text!a}") from error

    return read


def as_json(record: DkimRecord) -> dict[str, object]:
    """A record for programs."""
    return {
        "domain": record.domain,
        "selector": record.selector,
        "kind": record.kind,
        "name": record.name,
        "value": record.value,
        "strings": record.strings,
    }


def for_people(record: DkimRecord) -> str:
    """A record to be pasted, in the two forms that providers want."""
    form = f"name:  {record.name}\nvalue: {record.value}\n"
    return indent(f"{form}\nIn a zone file that is:\n\n{record.zone_lines}\n", "   ")
