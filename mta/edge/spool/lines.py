"""Envelopes and recipients as lines of JSON: in the journal, in waiting/ and beside kept copies.

A field that has its default is left out; a field that is missing gets its default and one that
is unknown is passed over, so an older and a newer version of the program read each other's
lines. The JSON is ASCII: texts from peers may hold anything.
"""

import dataclasses
import json
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar

import orjson

from mta.model.address import Address
from mta.model.domain import Host, TlsFacts
from mta.model.envelope import Envelope, Reason, Recipient, Road, State
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict
from mta.model.request import (
    NOTHING,
    NOTHING_FOR_RECIPIENT,
    Deadline,
    Late,
    MessageRequest,
    Notice,
    RecipientRequest,
    Returned,
)

T = TypeVar("T")

_ENCODER = json.JSONEncoder(separators=(",", ":"))

_Raw = dict[str, Any]  # what JSON has of a value


class LineError(ValueError):
    """The line is none of ours."""


def envelope_line(envelope: Envelope) -> bytes:
    """The envelope in one line, without its end."""
    return _line(_raw_envelope(envelope))


def read_envelope(line: bytes) -> Envelope:
    """Raises LineError."""
    return envelope_of(parsed(line))


def envelope_of(raw: object) -> Envelope:
    """The envelope in JSON that was read already. Raises LineError."""
    return _built(Envelope, raw)


def changes_line(changes: Mapping[int, Recipient]) -> bytes:
    """The new state of the recipients at some places, in one line."""
    return _line({str(place): _raw_recipient(found) for place, found in changes.items()})


def read_changes(line: bytes) -> dict[int, Recipient]:
    """Raises LineError."""
    try:
        return {int(place): _built(Recipient, raw) for place, raw in parsed(line).items()}
    except ValueError as error:
        raise LineError(f"expected recipients by their places, got {line[:80]!r}") from error


def sealed(line: bytes) -> bytes:
    """A line as it stands in a file: its checksum before it, its end behind it."""
    return b"%08x %b\n" % (zlib.crc32(line), line)


def unsealed(text: bytes) -> bytes:
    """The line in what `sealed` gave, with or without its end. Raises LineError."""
    checksum, _, line = text.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(line):
        raise LineError(f"the checksum of the line is wrong: {text[:80]!r}")
    return line


def parsed(line: bytes) -> dict[str, Any]:
    """The JSON object in a line. Raises LineError."""
    try:
        raw = orjson.loads(line)
    except ValueError:
        raw = _parsed_plainly(line)
    if not isinstance(raw, dict):
        raise LineError(f"expected a JSON object, got {line[:80]!r}")
    return raw


def _parsed_plainly(line: bytes) -> object:
    """What is beyond orjson: a text from a peer may hold half a surrogate pair."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LineError(f"expected a line of JSON, got {line[:80]!r}") from error


def _line(raw: _Raw) -> bytes:
    try:
        line = orjson.dumps(raw)
    except TypeError:  # half a surrogate pair
        line = b"\xff"
    # orjson escapes nothing: what is not ASCII is left to the standard library.
    return line if line.isascii() else _ENCODER.encode(raw).encode("ascii")


# A function for each class and a line for each field. Reflection over the fields took four times
# as long, and one message may have hundreds of recipients.


def _raw_envelope(envelope: Envelope) -> _Raw:
    sender = envelope.sender
    raw: _Raw = {
        "id": envelope.id,
        "sender": None if sender is None else f"{sender.local}@{sender.domain}",
        "recipients": list(map(_raw_recipient, envelope.recipients)),
        "accepted_at": envelope.accepted_at,
        "size": envelope.size,
    }
    if envelope.is_8bit:
        raw["is_8bit"] = True
    if envelope.needs_smtputf8:
        raw["needs_smtputf8"] = True
    if envelope.request is not NOTHING:
        raw["request"] = _raw_request(envelope.request)
    return raw


def _raw_recipient(recipient: Recipient) -> _Raw:
    address = recipient.address
    raw: _Raw = {"address": f"{address.local}@{address.domain}"}
    if recipient.state is not State.WAITING:
        raw["state"] = recipient.state._value_
    if recipient.attempts:
        raw["attempts"] = recipient.attempts
    if recipient.next_at:
        raw["next_at"] = recipient.next_at
    if recipient.road is not Road.DIRECT:
        raw["road"] = recipient.road._value_
    if recipient.may_have_arrived:
        raw["may_have_arrived"] = True
    if recipient.last is not None:
        raw["last"] = _raw_outcome(recipient.last)
    if recipient.request is not NOTHING_FOR_RECIPIENT:
        raw["request"] = _raw_wish(recipient.request)
    if recipient.tried_at:
        raw["tried_at"] = recipient.tried_at
    if recipient.is_delay_told:
        raw["is_delay_told"] = True
    if recipient.route:
        raw["route"] = recipient.route
    if recipient.bound_to:
        raw["bound_to"] = recipient.bound_to
    if recipient.rerouted is not None:
        raw["rerouted"] = recipient.rerouted._value_
    return raw


def _raw_request(request: MessageRequest) -> _Raw:
    raw = _without_defaults(request, NOTHING)
    if request.deadline is not None:
        by = request.deadline
        raw["deadline"] = {"at": by.at, "if_late": by.if_late._value_, "is_traced": by.is_traced}
    return raw


def _raw_wish(request: RecipientRequest) -> _Raw:
    raw = _without_defaults(request, NOTHING_FOR_RECIPIENT)
    if request.notices is not None:
        raw["notices"] = sorted(notice._value_ for notice in request.notices)
    return raw


def _without_defaults(request: MessageRequest | RecipientRequest, defaults: object) -> _Raw:
    """Its fields that say something. Seldom called, so by reflection."""
    names = [field.name for field in dataclasses.fields(request)]
    return {
        name: getattr(request, name)
        for name in names
        if getattr(request, name) != getattr(defaults, name)
    }


def _raw_outcome(outcome: Outcome) -> _Raw:
    host, tls = outcome.host, outcome.tls
    raw: _Raw = {
        "verdict": outcome.verdict._value_,
        "reply": _raw_reply(outcome.reply),
        "stage": outcome.stage._value_,
        "scope": outcome.scope._value_,
    }
    if host is not None:
        raw["host"] = {"name": host.name, "address": host.address, "port": host.port}
    if outcome.is_from_peer:
        raw["is_from_peer"] = True
    if outcome.may_have_arrived:
        raw["may_have_arrived"] = True
    if tls is not None:
        raw["tls"] = {
            "version": tls.version,
            "cipher": tls.cipher,
            "is_verified": tls.is_verified,
        }
        if tls.proof:
            raw["tls"]["proof"] = str(tls.proof)
    if outcome.peer_reports:
        raw["peer_reports"] = True
    if outcome.peer_keeps_deadline:
        raw["peer_keeps_deadline"] = True
    if outcome.is_discarded:
        raw["is_discarded"] = True
    return raw


def _raw_reply(reply: Reply) -> _Raw:
    raw: _Raw = {"code": reply.code, "text": reply.text}
    if reply.subject:
        raw["subject"] = reply.subject
    if reply.detail:
        raw["detail"] = reply.detail
    return raw


def _built(kind: type[T], raw: object) -> T:
    """The value of this kind that was made `raw` of."""
    if not isinstance(raw, dict):
        raise LineError(f"expected {kind.__name__}, got {str(raw)[:80]!r}")
    readers = _READERS[kind]
    try:
        return kind(
            **{
                name: value if (read := readers[name]) is None else read(value)
                for name, value in raw.items()
                if name in readers
            }
        )
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise LineError(f"expected {kind.__name__}, got {str(raw)[:80]!r}: {error}") from error


def _address(raw: str) -> Address:
    local, _, domain = raw.rpartition("@")  # no domain holds an @; a quoted local part may
    return Address(local, sys.intern(domain))  # few domains, many messages


def _recipients(raw: Iterable[object]) -> tuple[Recipient, ...]:
    return tuple([_built(Recipient, one) for one in raw])


def _outcome(raw: object) -> Outcome:
    """Equal outcomes are one, and built once: thousands of messages may wait for one reason."""
    try:
        return _outcome_of(orjson.dumps(raw))
    except TypeError:  # half a surrogate pair
        return _built(Outcome, raw)


@lru_cache(10_000)
def _outcome_of(line: bytes) -> Outcome:
    return _built(Outcome, orjson.loads(line))


def _pairs(raw: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple([tuple(pair) for pair in raw])


def _notices(raw: Iterable[str]) -> frozenset[Notice]:
    return frozenset([Notice(word) for word in raw])


def _optional(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    return lambda raw: None if raw is None else read(raw)


def _of(kind: type[T]) -> Callable[[Any], T]:
    return lambda raw: _built(kind, raw)


def _one_of(kind: type[Enum]) -> Callable[[Any], Any]:
    return {member.value: member for member in kind}.__getitem__


# How the fields are read that are not themselves in JSON, by the class that has them.
_READ: dict[type, dict[str, Callable[[Any], Any]]] = {
    Envelope: {
        "sender": _optional(lru_cache(1000)(_address)),
        "recipients": _recipients,
        "request": _of(MessageRequest),
    },
    Recipient: {
        "address": _address,
        "state": _one_of(State),
        "road": _one_of(Road),
        "rerouted": _one_of(Reason),
        "last": _optional(_outcome),
        "request": _of(RecipientRequest),
    },
    MessageRequest: {
        "returned": _one_of(Returned),
        "deadline": _of(Deadline),
        "tags": tuple,
        "metadata": _pairs,
    },
    Deadline: {"if_late": _one_of(Late)},
    RecipientRequest: {"notices": _notices},
    Outcome: {
        "verdict": _one_of(Verdict),
        "reply": _of(Reply),
        "stage": _one_of(Stage),
        "scope": _one_of(Scope),
        "host": _optional(_of(Host)),
        "tls": _optional(_of(TlsFacts)),
    },
    Reply: {},
    Host: {},
    TlsFacts: {},
}

_READERS: dict[type, dict[str, Callable[[Any], Any] | None]] = {
    kind: {field.name: read.get(field.name) for field in dataclasses.fields(kind)}
    for kind, read in _READ.items()
}
