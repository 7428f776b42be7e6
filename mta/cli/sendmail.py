"""`mta sendmail`: sendmail(1) for programs that know no other way to send mail.

It hands the message to the server, or leaves it in the drop folder where none answers. Called as
sendmail, mailq or newaliases, by a link of that name to `mta`, it is that program.
"""

import os
import pwd
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mta.model.address import Address, parse_domain
from mta.model.envelope import Client
from mta.model.listener import Endpoint
from mta.model.outcome import Stage
from mta.model.text import printable

from mta.rules.message.composition import completed_by_author, recipients_in, text_of, with_key
from mta.rules.message.dropfile import Drop, DropError, drop_file, read_drop_file, submission_of
from mta.rules.message.headers import read_header
from mta.rules.message.mailboxes import MailboxError, mailboxes
from mta.rules.message.sendmail import Call, Mode, UsageError, read_call
from mta.rules.submission.admission import objection_to_sender

from mta.edge.handover import Answer, Fate, hand_over, relay
from mta.edge.idn import to_ascii
from mta.edge.maildrop.leaving import leave, new_name

from mta.config.brief import Brief, own_config, read_brief
from mta.config.problems import ConfigError

if TYPE_CHECKING:
    from mta.cli.options import Commands

BY_NAME = "mta sendmail"  # what we are called where a person types the command

USAGE = """\
usage: mta sendmail [options] [recipient ...]
       mta sendmail -t [options] [recipient ...]

Send the message on standard input, as sendmail(1) does. A line with a dot alone ends it, unless -i
is there. The message is handed to the server, or left in the drop folder where none answers.

  -t            take recipients from To, Cc and Bcc as well; Bcc is removed
  -i, -oi       a line with a dot alone is text
  -f, -r ADDR   the envelope sender (default: your login name at this host); <> is the null sender
  -F NAME       your full name, for a message without From
  -N WHEN       never, or some of success,failure,delay: when to report
  -R full|hdrs  how much of the message a report brings back
  -V ID         an identifier for reports
  -v            say what became of it
  -bs           speak SMTP on standard input and output
  -bp           list what waits (mailq)
  -C FILE       the configuration, also --config; default: $MTA_CONFIG, or /etc/mta/config.yaml
  -bm, -bi, -q, -B, -e, -m, -n, -o and -O with anything else are taken and mean nothing

exits 0 when the server or the drop folder has the message, else with a code of sysexits(3): 75
means that it may be tried again.

example:
  printf 'Subject: hello\\n\\nIt works.\\n' | mta sendmail bob@example.com
"""

# What a refusal means to the caller, by where it came: sysexits(3).
_REFUSED_AT = {
    Stage.SENDER: os.EX_NOPERM,
    Stage.RECIPIENT: os.EX_NOUSER,
    Stage.CONTENT: os.EX_DATAERR,
}


class Unsendable(Exception):
    """The message cannot go; `status` is the exit code, the text is for people."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def add_to(commands: "Commands") -> None:
    """Add `mta sendmail` to the list of commands; `mta.cli.main` calls `run` itself."""
    commands.add_parser("sendmail", help="Send the message on standard input, as sendmail(1) does.")


def run(name: str, arguments: Sequence[str]) -> int:
    """Be sendmail(1), mailq or newaliases, as `name` says; gives a code of sysexits(3)."""
    try:
        call = read_call(name, arguments)
        return _done(call, name)
    except UsageError as error:
        return _complained(name, os.EX_USAGE, str(error))
    except ConfigError as error:
        return _complained(name, os.EX_CONFIG, str(error))
    except Unsendable as error:
        return _complained(name, error.status, str(error))


def _done(call: Call, name: str) -> int:
    if call.mode is Mode.HELP:
        print(USAGE, end="")
        return os.EX_OK
    if call.mode is Mode.NOTHING:
        return os.EX_OK
    config = (
        Path(call.config) if call.config else own_config(os.environ, looks_here=name == BY_NAME)
    )
    if call.mode is Mode.LIST:
        from mta.cli import main

        return main(["queue", "list", *(["--config", str(config)] if config else [])])
    brief = read_brief(config, os.environ)
    if call.mode is Mode.CONVERSE:
        return _converse(brief)
    drop = _drop(call, brief)
    return _send(drop, brief, Voice(name, is_verbose=call.is_verbose))


class Voice:
    """Says what happens, to whoever asked for it."""

    def __init__(self, name: str, *, is_verbose: bool) -> None:
        self._name = name
        self._is_verbose = is_verbose

    def say(self, text: str) -> None:
        if self._is_verbose:
            _complained(self._name, 0, text)


def _complained(name: str, status: int, text: str) -> int:
    for line in text.splitlines():
        print(f"{name}: {printable(line)}", file=sys.stderr)
    return status


def _converse(brief: Brief) -> int:
    """Pass SMTP on between our caller and the server."""
    for door in brief.doors:
        if relay(door, sys.stdin.fileno(), sys.stdout.fileno()):
            return os.EX_OK
    print("421 4.3.2 The mail server is not running", end="\r\n", flush=True)
    return os.EX_TEMPFAIL


def _drop(call: Call, brief: Brief) -> Drop:
    """The message and its envelope. Raises Unsendable."""
    host = Host(brief)
    octets = sys.stdin.buffer.read(brief.message_size + 1)
    if len(octets) > brief.message_size:
        raise Unsendable(
            os.EX_DATAERR, f"expected a message of at most {brief.message_size} octets, got more"
        )
    header = read_header(text_of(octets, ends_at_dot=not call.ignores_dots))
    try:
        sender = _sender(call, host)
        found = recipients_in(header, hostname=host, to_ascii=to_ascii) if call.takes_header else []
        for text in call.recipients:
            found += mailboxes(text, hostname=host, to_ascii=to_ascii)
    except MailboxError as error:
        raise Unsendable(os.EX_DATAERR, str(error)) from error
    recipients = tuple(dict.fromkeys(found))
    _check_recipients(recipients, brief)
    content = completed_by_author(
        header, sender, full_name=_full_name(call), hostname=host, now=time.time()
    )
    if brief.honours_keys:
        content = with_key(read_header(content), new_name()).content
    return Drop(
        sender,
        recipients,
        content,
        is_smtputf8=not all(address.is_ascii for address in (sender, *recipients) if address),
        parameters=" ".join(call.parameters),
        recipient_parameters=" ".join(call.recipient_parameters),
    )


def _check_recipients(recipients: Sequence[Address], brief: Brief) -> None:
    if not recipients:
        raise Unsendable(os.EX_USAGE, "expected recipients, found none in the message")
    if len(recipients) > brief.recipients:
        raise Unsendable(
            os.EX_DATAERR,
            f"expected at most {brief.recipients} recipients of one message, got {len(recipients)}",
        )


class Host:
    """This host's name, as the server has it; looked for when it is first wanted."""

    def __init__(self, brief: Brief) -> None:
        self._name = brief.hostname

    def __call__(self) -> str:
        if self._name is None:
            self._name = next(filter(None, map(_domain, _own_names())), "localhost")
        return self._name


def _own_names() -> Sequence[str]:
    return (socket.getfqdn(), socket.gethostname())


def _domain(text: str) -> str | None:
    try:
        return parse_domain(text)
    except ValueError:
        return None


def _sender(call: Call, host: Host) -> Address | None:
    """The envelope sender; None for the null sender. Raises MailboxError."""
    if call.sender is None:
        return mailboxes(_login(), hostname=host)[0]
    if call.sender.strip() in ("", "<>"):
        return None
    found = mailboxes(call.sender, hostname=host, to_ascii=to_ascii)
    if len(found) != 1:
        raise MailboxError(f"-f: expected one mailbox, got {call.sender[:80]!a}")
    return found[0]


def _login() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as in a container that runs under any number
        return f"uid-{os.getuid()}"


def _full_name(call: Call) -> str:
    if call.full_name is not None:
        return call.full_name
    if "NAME" in os.environ:
        return os.environ["NAME"]
    try:
        found = pwd.getpwuid(os.getuid())
    except KeyError:
        return ""
    return found.pw_gecos.partition(",")[0].replace("&", found.pw_name.capitalize())


def _send(drop: Drop, brief: Brief, voice: Voice) -> int:
    """Hand it over, or leave it in the drop folder. Raises Unsendable."""
    name = _domain(socket.gethostname()) or "localhost"
    for door in brief.doors:
        answer = hand_over(door, drop, name)
        voice.say(f"{door}: {answer.text}")
        if answer.fate is Fate.TAKEN:
            return os.EX_OK
        if answer.fate is Fate.UNKNOWN and brief.honours_keys:
            # The drop has the same key, and is taken once: no other door knows it for sure.
            drop = replace(drop, shares_keys=isinstance(door, Endpoint))
            break
        if answer.fate is not Fate.NOT_TAKEN:
            raise _trouble(answer)
    _leave(drop, brief, voice)
    return os.EX_OK


def _trouble(answer: Answer) -> Unsendable:
    if answer.fate is Fate.UNKNOWN:
        return Unsendable(
            os.EX_TEMPFAIL,
            "the server may have the message, or may not: all of it was sent, and then "
            f"{answer.text}; see `mta queue list` and the events before it is sent again",
        )
    status = _REFUSED_AT.get(answer.stage, os.EX_UNAVAILABLE)
    return Unsendable(status, f"the server refused the message: {answer.text}")


def _leave(drop: Drop, brief: Brief, voice: Voice) -> None:
    """Leave it for the server to find, once it is sure that it will take it."""
    octets = drop_file(drop)
    try:
        kept = read_drop_file(octets, size=brief.message_size, line_length=brief.line_length)
        submission_of(kept, Client("", "", ""))
    except DropError as error:
        raise Unsendable(os.EX_DATAERR, str(error)) from error
    objection = objection_to_sender(drop.sender, brief.senders)
    if objection is not None:
        raise Unsendable(os.EX_NOPERM, objection.text)
    if brief.maildrop is None:
        raise Unsendable(os.EX_TEMPFAIL, "the server does not answer, and there is no drop folder")
    id = new_name()
    try:
        leave(brief.maildrop, id, octets)
    except OSError as error:
        raise Unsendable(
            os.EX_TEMPFAIL,
            "the server does not answer, and the message cannot be left in "
            f"{brief.maildrop}: {error.strerror or error}",
        ) from error
    voice.say(f"left in the drop folder; the server will take it as d{id}")
