"""SMTP commands as they come on the wire: strictly read, each mistake with its reply.

Everything here is text of a stranger. What passes is free of controls, bounded by the length
of a command line, and in UTF-8 (RFC 6531 §3.2).
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache

from mta.model.address import Address, AddressError, parse_address
from mta.model.outcome import Reply
from mta.model.request import NOTHING_FOR_RECIPIENT, RecipientRequest

from mta.rules.submission.parameters import (
    BASIC,
    NOTHING_ASKED,
    Asked,
    Parameters,
    asked_for_recipient,
    asked_in,
    objection_to_mail,
    objection_to_rcpt,
    read_parameters,
)

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_PATH = re.compile(r' *<((?:"(?:[^"\\]|\\.)*"|[^"<> ])*)>')
_HELO = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
_CHUNK = re.compile(r"([0-9]{1,20})(?: +((?i:LAST)))?")  # RFC 3030 §2; digits as in RFC 1870 §4

# MAIL and RCPT as nearly all clients spell them, with an address that is no more than atoms and
# a name: neither quotes nor literals, nor a domain whose end or length would have to be looked at.
_ATOM = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]++"
_PLAIN = re.compile(
    rb"(?:(?i:RCPT TO)|((?i:MAIL FROM))):"
    rb"<(?=[^@]{1,64}@[^>]{1,63}>)"
    rb"(" + _ATOM + rb"(?:\." + _ATOM + rb")*+)@"
    rb"([A-Za-z0-9]++(?:[.-][A-Za-z0-9]++)*+)(?<![0-9])>"
    rb"(?(1)((?: (?i:SIZE)=([0-9]{1,20}))?(?: (?i:BODY=8BITMIME|BODY=7BIT))?))"
)
_MEMORABLE = 256  # octets of a command line
_REMEMBERED = 1_024  # command lines, so less than a megabyte

SENDER = 7  # the detail of X.1.7, bad sender's mailbox address syntax (RFC 3463 §3.2)
RECIPIENT = 3  # the detail of X.1.3, bad destination mailbox address syntax


@dataclass(frozen=True, slots=True)
class Mail:
    """What MAIL says; `path` is the text between the angle brackets, `size` in octets or 0.

    `mailbox` is the address in the path, where it is known already; `asked` is all that is asked
    for beyond delivery.
    """

    path: str
    size: int = 0
    is_smtputf8: bool = False
    has_parameters: bool = False
    mailbox: Address | None = None
    asked: Asked = NOTHING_ASKED


@dataclass(frozen=True, slots=True)
class Rcpt:
    """What RCPT says; `path` is the text between the angle brackets, `mailbox` as in Mail."""

    path: str
    mailbox: Address | None = None
    asked: RecipientRequest = NOTHING_FOR_RECIPIENT


@dataclass(frozen=True, slots=True)
class Chunk:
    """What BDAT says: so many octets follow at once, and whether they are the last."""

    octets: int
    is_last: bool


@dataclass(frozen=True, slots=True)
class Command:
    """A command line: its verb in capitals, and the rest without outer spaces.

    `meaning` is what the rest says, where it is known already.
    """

    verb: str
    argument: str
    meaning: Mail | Rcpt | None = None


def read_command(line: bytes) -> Command | Reply:
    """As `parse_command`, and faster for what is said often.

    A client says the same few lines again and again: to remember what they mean takes 0.1 us
    a line, to look at a plain one 2 us, to parse it and its address 5 us.
    """
    try:
        return _remembered(line) if len(line) <= _MEMORABLE else parse_command(line)
    except _Secret as secret:
        return secret.command


class _Secret(Exception):
    """What must not be remembered: it may hold a password."""

    def __init__(self, command: Command) -> None:
        super().__init__()
        self.command = command


@lru_cache(maxsize=_REMEMBERED)
def _remembered(line: bytes) -> Command | Reply:
    command = plain_command(line) or parse_command(line)
    if isinstance(command, Command) and command.verb == "AUTH":
        raise _Secret(command)
    return command


def plain_command(line: bytes) -> Command | None:
    """MAIL or RCPT with a plain address, read to its end by one look; None for all else.

    What it finds is what the strict parsers below would find.
    """
    found = _PLAIN.fullmatch(line)
    if found is None:
        return None
    argument = line[5:].decode("ascii")
    is_mail, local, domain, parameters, size = found.groups()
    path = f"{local.decode('ascii')}@{domain.decode('ascii')}"
    mailbox = Address(local.decode("ascii"), domain.decode("ascii").lower())
    if not is_mail:
        return Command("RCPT", argument, Rcpt(path, mailbox))
    has_parameters = bool(parameters)
    mail = Mail(path, int(size or 0), has_parameters=has_parameters, mailbox=mailbox)
    return Command("MAIL", argument, mail)


def parse_command(line: bytes) -> Command | Reply:
    """Read a command line, without its CRLF; the reply says why it is none."""
    if _CONTROL.search(line):
        return Reply(500, "Expected a command without control characters", 5, 2)
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return Reply(500, "Expected a command in UTF-8", 5, 2)
    verb, _, argument = text.partition(" ")
    if not (verb.isascii() and verb.isalpha()):
        return Reply(500, "Expected a command", 5, 2)
    return Command(verb.upper(), argument.strip(" "))


def parse_helo(argument: str) -> str | Reply:
    """Read what a client calls itself: a domain or an address literal (RFC 5321 §4.1.1.1).

    Read loosely, since real hosts have real names, with underscores or without a domain; yet
    it stands in a Received field later, so no character that could mean something there passes.
    """
    if _HELO.fullmatch(argument):
        return argument
    return Reply(501, "Expected the client's domain or address literal", 5, 4)


def parse_mail(argument: str, offered: Collection[str] = BASIC) -> Mail | Reply:
    """Read the argument of MAIL: FROM:<path> and parameters (RFC 5321 §4.1.1.2).

    `offered` are the extensions that are, whose parameters may be there.
    """
    read = _parse_path_and_parameters("FROM:", argument)
    if isinstance(read, Reply):
        return read
    path, parameters = read
    asked = objection_to_mail(parameters, offered) or asked_in(parameters)
    if isinstance(asked, Reply):
        return asked
    if asked.is_verp and not path:
        return Reply(501, "Expected a sender for XVERP, got <>", 5, 4)
    return Mail(
        path,
        size=int(parameters.get("SIZE") or 0),
        is_smtputf8="SMTPUTF8" in parameters,
        has_parameters=bool(parameters),
        asked=asked,
    )


def parse_rcpt(argument: str, offered: Collection[str] = BASIC) -> Rcpt | Reply:
    """Read the argument of RCPT: TO:<path> and parameters (RFC 5321 §4.1.1.3); as `parse_mail`."""
    read = _parse_path_and_parameters("TO:", argument)
    if isinstance(read, Reply):
        return read
    path, parameters = read
    asked = objection_to_rcpt(parameters, offered) or asked_for_recipient(parameters)
    return asked if isinstance(asked, Reply) else Rcpt(path, asked=asked)


def parse_bdat(argument: str) -> Chunk | Reply:
    """Read the argument of BDAT: octets, and LAST behind the last of them (RFC 3030 §2)."""
    found = _CHUNK.fullmatch(argument)
    if found is None:
        return Reply(501, "Expected BDAT octets, and LAST for the last ones", 5, 4)
    return Chunk(int(found[1]), is_last=found[2] is not None)


def address_in(
    path: str, detail: int, *, is_smtputf8: bool, to_ascii: Callable[[str], str]
) -> Address | Reply:
    """Read the mailbox in a path that is not empty; `detail` is SENDER or RECIPIENT.

    A source route is refused: nobody has had a use for one since 1989, and reading a path other
    than the next server does is how mail is let through that should not be (RFC 5321 §3.6.1).
    """
    if path.startswith("@"):
        return Reply(553, "Expected a mailbox, not a source route", 1, detail)
    if not (path.isascii() or is_smtputf8):
        return Reply(553, "An address that is not ASCII needs SMTPUTF8", 6, 7)
    try:
        return parse_address(path, to_ascii)
    except AddressError as error:
        return Reply(553, str(error), 1, detail)


def _parse_path_and_parameters(keyword: str, argument: str) -> tuple[str, Parameters] | Reply:
    shape = Reply(501, f"Expected {keyword}<address>, and parameters if any", 5, 4)
    if argument[: len(keyword)].upper() != keyword:
        return shape
    found = _PATH.match(argument, len(keyword))  # a space after the colon is wrong, and common
    if found is None:
        return shape
    rest = argument[found.end() :]
    if rest and not rest.startswith(" "):
        return shape
    parameters = read_parameters(rest)
    return parameters if isinstance(parameters, Reply) else (found[1], parameters)
