"""The command line of sendmail(1): what its callers of forty years mean by it.

As Postfix reads it: options end at the first recipient or at `--`, recipients on the command line
are added to those that -t finds, and an option that says nothing to us is passed over.
"""

import getopt
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from mta.rules.submission.parameters import MAX_ENVELOPE_ID

# With a colon: it has a value. -q has one now and then, so it is looked at before the others.
_SHORT = "A:B:C:F:GIL:N:O:R:UV:X:b:cd:e:f:h:imno:p:r:stvx"
_LONG = ("config=", "help")


class Mode(StrEnum):
    """What is wanted; the values are those of -b, where it has one."""

    SEND = "m"  # a message from standard input
    CONVERSE = "s"  # SMTP on standard input and output
    LIST = "p"  # what waits
    NOTHING = "i"  # what other mail systems need and we do not: aliases, queue runs
    HELP = "help"


_MODES_BY_NAME = {"mailq": Mode.LIST, "newaliases": Mode.NOTHING}
_MODES = {mode.value: mode for mode in Mode if len(mode) == 1}
_NOTIFY = ("success", "failure", "delay")  # or never, alone (RFC 3461 §4.1)
_RETURN = ("full", "hdrs")  # RFC 3461 §4.3
_NOT_XTEXT = re.compile("[^!-*,-<>-~]")  # RFC 3461 §4


class UsageError(ValueError):
    """The command line is wrong; the message says what was expected and what was found."""


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked for.

    `sender` is the text of -f: None where it is not there, "" or "<>" for the null sender.
    `parameters` are to stand behind MAIL, `recipient_parameters` behind each RCPT (RFC 3461).
    """

    mode: Mode = Mode.SEND
    recipients: tuple[str, ...] = ()
    takes_header: bool = False  # -t: recipients stand in the message
    ignores_dots: bool = False  # -i: a line with a dot alone is text
    is_verbose: bool = False
    sender: str | None = None
    full_name: str | None = None
    parameters: tuple[str, ...] = ()
    recipient_parameters: tuple[str, ...] = ()
    config: str | None = None


def read_call(name: str, arguments: Sequence[str]) -> Call:
    """Read a command line; `name` is what the program was called as. Raises UsageError."""
    call = Call(mode=_MODES_BY_NAME.get(name, Mode.SEND))
    runs_queue, arguments = _without_queue_runs(arguments)
    if runs_queue:
        call = replace(call, mode=Mode.NOTHING)
    try:
        options, recipients = getopt.getopt(arguments, _SHORT, _LONG)
    except getopt.GetoptError as error:
        raise UsageError(f"expected options of sendmail(1): {error}") from error
    for option, value in options:
        call = _with_option(call, option, value)
    call = replace(call, recipients=tuple(recipients))
    if call.mode is Mode.SEND and not (call.takes_header or recipients):
        raise UsageError("expected recipients, or -t to take them from the message; found none")
    if call.mode is not Mode.SEND and (call.takes_header or recipients):
        raise UsageError("expected recipients and -t only where a message is sent")
    return call


def _without_queue_runs(arguments: Sequence[str]) -> tuple[bool, list[str]]:
    """Take out -q, alone or with what it should run; it is not looked for behind recipients."""
    kept: list[str] = []
    runs_queue = False
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--" or not word.startswith("-"):
            return runs_queue, [*kept, word, *rest]
        if word.startswith("-q"):
            runs_queue = True
            continue
        kept.append(word)
        if _takes_next(word) and rest:
            kept.append(rest.pop(0))
    return runs_queue, kept


def _takes_next(word: str) -> bool:
    """Whether the word behind these options is the value of the last of them."""
    if word.startswith("--"):
        return word == "--config"
    for place, letter in enumerate(word[1:], start=1):
        if f"{letter}:" in _SHORT:
            return place == len(word) - 1
    return False


def _with_option(call: Call, option: str, value: str) -> Call:
    match option:
        case "-t":
            return replace(call, takes_header=True)
        case "-i":
            return replace(call, ignores_dots=True)
        case "-o" if value == "i":
            return replace(call, ignores_dots=True)
        case "-v":
            return replace(call, is_verbose=True)
        case "-f" | "-r":
            return replace(call, sender=value)
        case "-F":
            return replace(call, full_name=value)
        case "-I":
            return replace(call, mode=Mode.NOTHING)
        case "-b":
            return replace(call, mode=_mode(value))
        case "-N":
            return replace(call, recipient_parameters=(_notify(value),))
        case "-R":
            return replace(call, parameters=_with(call.parameters, _ret(value)))
        case "-V":
            return replace(call, parameters=_with(call.parameters, _envelope_id(value)))
        case "-C" | "--config":
            return replace(call, config=value)
        case "--help":
            return replace(call, mode=Mode.HELP)
    return call  # -B, -e, -m, -o and the like say nothing to us


def _with(parameters: tuple[str, ...], one: str) -> tuple[str, ...]:
    """These and `one`, which takes the place of an earlier one of its name."""
    name = one.partition("=")[0]
    return (*(each for each in parameters if each.partition("=")[0] != name), one)


def _mode(value: str) -> Mode:
    if value not in _MODES:
        raise UsageError(
            f"expected -bm, -bs, -bp or -bi, got {'-b' + value[:20]!a}; "
            "the server is started by `mta serve`"
        )
    return _MODES[value]


def _notify(value: str) -> str:
    words = value.lower().split(",")
    if words != ["never"] and not set(words) <= set(_NOTIFY):
        raise UsageError(f"-N: expected never, or some of {','.join(_NOTIFY)}, got {value[:60]!a}")
    return f"NOTIFY={','.join(dict.fromkeys(words)).upper()}"


def _ret(value: str) -> str:
    if value.lower() not in _RETURN:
        raise UsageError(f"-R: expected full or hdrs, got {value[:60]!a}")
    return f"RET={value.upper()}"


def _envelope_id(value: str) -> str:
    xtext = _NOT_XTEXT.sub(lambda found: f"+{ord(found[0]):02X}", value)
    if not (value.isascii() and value.isprintable()) or not 0 < len(xtext) <= MAX_ENVELOPE_ID:
        raise UsageError(
            f"-V: expected 1 to {MAX_ENVELOPE_ID} printable ASCII characters, got {value[:60]!a}"
        )
    return f"ENVID={xtext}"
