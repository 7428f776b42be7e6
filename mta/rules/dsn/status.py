"""The part of a report that programs read: message/delivery-status (RFC 3464 §2, RFC 6533 §3)."""

import re
from collections.abc import Iterator, Sequence

from mta.model.address import Address
from mta.model.envelope import Envelope, Recipient
from mta.model.outcome import Outcome, Stage
from mta.model.text import printable_ascii

from mta.rules.dsn.lines import MAX_LINE, date, lines, wrapped
from mta.rules.dsn.owed import Action
from mta.rules.dsn.words import peers_words

_ENCODED = re.compile(r"\+([0-9A-F]{2})")  # RFC 3461 §4
_EXPIRED = "4.4.7"  # delivery time expired, RFC 3463 §3.5
_UNTRIED = "4.0.0"

# Where no remote server has been involved yet, it must not be named (RFC 3464 §2.3.5).
_BEFORE_THE_PEER = (Stage.LOOKUP, Stage.CONNECT)


def about_message(envelope: Envelope, hostname: str) -> Iterator[str]:
    """The fields of the message as a whole."""
    if envelope.request.envelope_id:
        yield lines(f"Original-Envelope-Id: {decoded(envelope.request.envelope_id)}")
    yield lines(
        f"Reporting-MTA: dns; {hostname}",
        f"X-Queue-ID: {envelope.id}",
        f"Arrival-Date: {date(envelope.accepted_at)}",
    )


def about_recipients(
    action: Action, recipients: Sequence[Recipient], *, now: float, until: float
) -> Iterator[str]:
    """The fields of each; `until` is when we give up."""
    for recipient in recipients:
        yield lines("")
        yield from _original(recipient.request.original)
        yield lines(f"Final-Recipient: {_typed(recipient.address)}", f"Action: {action}")
        yield lines(f"Status: {_status(action, recipient.last)}")
        if recipient.last is not None:
            yield from _cause(recipient.last)
        if recipient.attempts:
            yield lines(f"Last-Attempt-Date: {date(recipient.tried_at or now)}")
        if action is Action.DELAYED:
            yield lines(f"Will-Retry-Until: {date(until)}")


def _status(action: Action, outcome: Outcome | None) -> str:
    if outcome is None:
        return _UNTRIED if action is Action.DELAYED else _EXPIRED
    status = outcome.reply.status
    # Some refusals in 5yz are tried again all the same: a delay is of class 4 (RFC 3464 §2.3.4).
    return f"4{status[1:]}" if action is Action.DELAYED else status


def _cause(outcome: Outcome) -> Iterator[str]:
    if outcome.host is not None and outcome.stage not in _BEFORE_THE_PEER:
        yield lines(*wrapped(f"Remote-MTA: dns; {outcome.host.name}", hanging=" "))
    said = outcome.is_from_peer
    words = f"smtp; {peers_words(outcome.reply)}" if said else f"x-mta; {outcome.reply.text}"
    yield lines(*wrapped(f"Diagnostic-Code: {words}", hanging=" "))


def _original(original: str) -> Iterator[str]:
    """The recipient as the sender's ORCPT named it; not one that no line can hold."""
    kind, _, text = original.partition(";")
    if not text:
        return
    address = escaped(text) if kind.lower() == "utf-8" else decoded(text)
    line = f"Original-Recipient: {printable_ascii(kind)}; {address}"
    if len(line) <= MAX_LINE:
        yield lines(line)


def decoded(xtext: str) -> str:
    """What stands in xtext (RFC 3461 §4), in printable ASCII whatever that is."""
    return printable_ascii(_ENCODED.sub(lambda found: chr(int(found[1], 16)), xtext))


def escaped(text: str) -> str:
    r"""An address of type utf-8 in printable ASCII: all else as \x{HEX} (RFC 6533 §3).

    What is escaped already stays as it is.
    """
    return "".join(c if " " <= c <= "~" else _embedded(c) for c in text)


def _typed(address: Address) -> str:
    """The address with its type; beyond ASCII in the 7-bit form of RFC 6533 §3."""
    if address.is_ascii:
        return f"rfc822; {address}"
    return "utf-8; " + "".join(
        c if "!" <= c <= "~" and c not in "+=\\" else _embedded(c) for c in str(address)
    )


def _embedded(character: str) -> str:
    return rf"\x{{{ord(character):02X}}}"
