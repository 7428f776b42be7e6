"""Envelopes and recipients as lines of JSON: in the journal, in waiting/ and beside kept copies.

A field that has its default is left out; a field that is missing gets its default and one that
is unknown is passed over, so an older and a newer version of the program read each other's
lines. The JSON is ASCII: texts from peers may hold anything.
"""

import dataclasses
import json
import zlib
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeVar

from mta.model.address import Address
from mta.model.domain import Host, TlsFacts
from mta.model.envelope import Envelope, Recipient, Road, State
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict

T = TypeVar("T")

_ENCODER = json.JSONEncoder(separators=(",", ":"))
_SCALARS = (str, int, float, bool, type(None))


class LineError(ValueError):
    """The line is none of ours."""


def envelope_line(envelope: Envelope) -> bytes:
    """The envelope in one line, without its end."""
    return _line(_plain(envelope))


def read_envelope(line: bytes) -> Envelope:
    """Raises LineError."""
    return envelope_of(parsed(line))


def envelope_of(raw: object) -> Envelope:
    """The envelope in JSON that was read already. Raises LineError."""
    return _built(Envelope, raw)


def changes_line(changes: Mapping[int, Recipient]) -> bytes:
    """The new state of the recipients at some places, in one line."""
    return _line({place: _plain(recipient) for place, recipient in changes.items()})


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


def _line(raw: object) -> bytes:
    return _ENCODER.encode(raw).encode("ascii")


def parsed(line: bytes) -> dict[str, Any]:
    """The JSON object in a line. Raises LineError."""
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LineError(f"expected a line of JSON, got {line[:80]!r}") from error
    if not isinstance(raw, dict):
        raise LineError(f"expected a JSON object, got {line[:80]!r}")
    return raw


def _plain(value: object) -> object:
    """`value` in the terms of JSON."""
    if type(value) in _SCALARS:
        return value
    if isinstance(value, Address):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    fields = _FIELDS.get(type(value))
    if fields is None:
        return value
    return {
        name: _plain(found)
        for name, default in fields
        if (found := getattr(value, name)) is not default and found != default
    }


def _built(kind: type[T], raw: object) -> T:
    """The value of this kind that `_plain` made `raw` of."""
    if not isinstance(raw, dict):
        raise LineError(f"expected {kind.__name__}, got {str(raw)[:80]!r}")
    readers = _READERS[kind]
    try:
        return kind(
            **{
                name: readers[name](raw[name]) if name in readers else raw[name]
                for name, _ in _FIELDS[kind]
                if name in raw
            }
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise LineError(f"expected {kind.__name__}, got {str(raw)[:80]!r}: {error}") from error


def _address(raw: str) -> Address:
    local, _, domain = raw.rpartition("@")  # no domain holds an @; a quoted local part may
    return Address(local, domain)


def _optional(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    return lambda raw: None if raw is None else read(raw)


def _of(kind: type[T]) -> Callable[[Any], T]:
    return lambda raw: _built(kind, raw)


# Fields that are not themselves in JSON, by the class that has them.
_READERS: dict[type, dict[str, Callable[[Any], Any]]] = {
    Envelope: {
        "sender": _optional(_address),
        "recipients": lambda raw: tuple(map(_of(Recipient), raw)),
    },
    Recipient: {"address": _address, "state": State, "road": Road, "last": _optional(_of(Outcome))},
    Outcome: {
        "verdict": Verdict,
        "reply": _of(Reply),
        "stage": Stage,
        "scope": Scope,
        "host": _optional(_of(Host)),
        "tls": _optional(_of(TlsFacts)),
    },
    Reply: {},
    Host: {},
    TlsFacts: {},
}

_FIELDS: dict[type, tuple[tuple[str, object], ...]] = {
    kind: tuple((field.name, field.default) for field in dataclasses.fields(kind))
    for kind in _READERS
}
