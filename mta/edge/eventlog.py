"""Events on a stream: JSON lines for machines, one short line each for people.

A thread does the writing, so that a slow reader of the stream never holds up mail.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from queue import SimpleQueue
from select import PIPE_BUF
from typing import TextIO

import orjson

from mta.model.event import Event, Kind
from mta.model.text import printable

log = logging.getLogger(__name__)

MAX_WAITING = 100_000  # events a stuck reader may leave waiting before further ones are dropped
MAX_BATCH = 1_000  # events that are written at once
GATHER = (
    0.02  # seconds that the first event waits for others: waking a thread costs more than a line
)


# Fields of an event that are shown as they are, in this order.
_PLAIN = (
    "id",
    "sender",
    "recipient",
    "recipients",
    "size",
    "client",
    "user",
    "road",
    "route",
    "site",
    "stage",
)


class Format(StrEnum):
    """How events are written."""

    JSON = "json"
    PEOPLE = "people"


class StreamEventLog:
    """Writes events to a text stream. `emit` never waits: with a stuck reader, events are lost."""

    def __init__(self, stream: TextIO, format: Format) -> None:
        self._stream = stream
        self._line: Callable[[Event], str] = _LINES[format]
        self._waiting: SimpleQueue[Event | None] = SimpleQueue()
        self._lost = 0
        self._is_closing = threading.Event()
        self._writer = threading.Thread(target=self._write_all, name="event log", daemon=True)
        self._writer.start()

    def emit(self, event: Event) -> None:
        """Write one event, soon."""
        if self._waiting.qsize() < MAX_WAITING:
            self._waiting.put(event)
        else:
            self._lost += 1  # the reader is stuck; mail goes on

    def close(self, limit: float = 5.0) -> None:
        """Write what waits, within `limit` seconds."""
        self._is_closing.set()
        self._waiting.put(None)
        self._writer.join(limit)

    def _write_all(self) -> None:
        is_broken, told = False, 0
        for batch in self._batches():
            try:
                for text in _pieces(self._fit(self._line(event) + "\n") for event in batch):
                    self._stream.write(text)
                    self._stream.flush()
            except (OSError, ValueError) as error:  # a closed pipe: nobody reads
                if not is_broken:
                    log.error("events cannot be written, and mail goes on without: %s", error)
                is_broken = True
                continue
            is_broken = False
            if self._lost > told:
                log.warning("%d events are lost: nobody read them in time", self._lost - told)
                told = self._lost

    def _fit(self, text: str) -> str:
        """`text` with escapes for what the stream's encoding cannot say."""
        if text.isascii():
            return text
        encoding = self._stream.encoding or "utf-8"
        return text.encode(encoding, "backslashreplace").decode(encoding)

    def _batches(self) -> Iterator[list[Event]]:
        while (event := self._waiting.get()) is not None:
            if self._waiting.qsize() < MAX_BATCH:
                self._is_closing.wait(GATHER)
            batch = [event]
            while len(batch) < MAX_BATCH and not self._waiting.empty():
                event = self._waiting.get()
                if event is None:
                    yield batch
                    return
                batch.append(event)
            yield batch


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    """Whole lines, as many as are written to a pipe undivided: other processes write there too."""
    piece: list[str] = []
    octets = 0
    for line in lines:
        size = len(line) if line.isascii() else 4 * len(line)
        if octets + size > PIPE_BUF and piece:
            yield "".join(piece)
            piece, octets = [], 0
        piece.append(line)
        octets += size
    yield "".join(piece)


def as_json(event: Event) -> str:
    """One event as one line of ASCII JSON; what does not apply is left out."""
    shown = as_mapping(event)
    try:
        line = orjson.dumps(shown)
    except TypeError:  # a lone surrogate, which is no character to it
        line = b"\x7f"
    if line.isascii() and b"\x7f" not in line:
        return line.decode("ascii")
    return json.dumps(shown, separators=(",", ":"))  # with escapes for all that is not printable


def as_mapping(event: Event) -> dict[str, object]:
    """One event as plain values. `at` is ISO 8601 in UTC, `next_at` too; `seconds` is a number."""
    shown: dict[str, object] = {"event": str(event.kind), "at": _iso(event.at)}
    for name in _PLAIN:
        value = getattr(event, name)
        if value is not None:
            shown[name] = value if isinstance(value, int) else str(value)
    if event.host is not None:
        host = event.host
        shown |= {"host": host.name, "address": host.address, "port": host.port}
    if event.tls is not None:
        tls = event.tls
        tls = event.tls
        proof = {"proof": str(tls.proof)} if tls.proof else {}
        protection = {"version": tls.version, "cipher": tls.cipher, "verified": tls.is_verified}
        shown["tls"] = protection | proof
    if event.reply is not None:
        reply = event.reply
        shown["reply"] = {"code": reply.code, "status": reply.status, "text": reply.text}
    if event.cause is not None:
        shown["cause"] = str(event.cause)
    if event.rule is not None:
        shown["rule"] = event.rule
    if event.attempts is not None:
        shown["attempts"] = event.attempts
    if event.next_at is not None:
        shown["next_at"] = _iso(event.next_at)
    if event.seconds is not None:
        shown["seconds"] = round(event.seconds, 3)
    if event.report is not None:
        shown["report"] = event.report
    if event.text is not None:
        shown["text"] = str(event.text)
    if event.warnings is not None:
        shown["warnings"] = event.warnings
    return shown


def for_people(event: Event) -> str:
    """One event as a short line; what came from a peer is escaped."""
    at = datetime.fromtimestamp(event.at, UTC).astimezone().strftime("%H:%M:%S")
    return printable(f"{at} {event.kind:<9} {event.id or '-'}{''.join(_details(event))}")


def _details(event: Event) -> Iterator[str]:
    if event.kind in (Kind.ACCEPTED, Kind.REFUSED):
        yield f" from <{event.sender}> at {event.client}"
    if event.kind is Kind.ACCEPTED:
        yield f" to {event.recipients}, {event.size} bytes"
    if event.kind in (Kind.LOGIN_FAILED, Kind.LOCKED):
        yield f" {event.user or 'somebody'} at {event.client}"
    if event.recipient is not None:
        yield f" {event.recipient}"
    if event.site is not None:
        yield f" {event.site}"
    if event.host is not None:
        yield f" at {event.host}"
    if event.kind is Kind.DELIVERED:
        yield f" ({event.tls.version if event.tls else 'in clear'})"
    if event.report is not None:
        yield f" to <{event.sender}> as {event.report}"
    if event.reply is not None and event.kind is not Kind.DELIVERED:
        yield f": {event.reply}"
    if event.rule is not None:
        yield f" [{event.rule}]"
    if event.text is not None:
        yield f": {event.text}"
    if event.warnings is not None:
        yield f" (warnings: {', '.join(event.warnings)})"
    if event.next_at is not None:
        word = "held for" if event.kind is Kind.ACCEPTED else "again in"
        yield f" ({word} {event.next_at - event.at:.0f} s)"


def _iso(at: float) -> str:
    second, micros = divmod(round(at * 1e6), 1_000_000)
    return f"{_iso_of_second(second)}.{micros // 1000:03}+00:00"


@lru_cache(maxsize=8)
def _iso_of_second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


_LINES: dict[Format, Callable[[Event], str]] = {
    Format.JSON: as_json,
    Format.PEOPLE: for_people,
}
