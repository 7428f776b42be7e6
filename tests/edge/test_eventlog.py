"""Events as lines: for machines, for people, and never in the way of mail."""

import copy
import io
import json
import os
import select
import threading
from dataclasses import fields, replace

import pytest

from mta.model.address import Address
from mta.model.domain import Host, TlsFacts
from mta.model.envelope import MessageId, Road
from mta.model.event import Event, Kind
from mta.model.outcome import Reply, Stage
from mta.model.ruling import Cause

from mta.flow.ports import EventLog

from mta.edge.eventlog import MAX_WAITING, Format, StreamEventLog, as_json, as_mapping, for_people

LIMIT = 10.0  # seconds that anything here may take

PLAIN = Event(kind=Kind.SETTLED, at=1_700_000_000.0, id=MessageId("m1"))
FULL = Event(
    kind=Kind.DEFERRED,
    at=1_700_000_000.0,
    id=MessageId("m1"),
    sender="ann@here.test",
    recipient=Address("bob", "there.test"),
    recipients=2,
    size=1_000,
    client="192.0.2.7",
    user="ann",
    route="office",
    road=Road.DIRECT,
    site="there.test",
    stage=Stage.RECIPIENT,
    host=Host("mx.there.test", "192.0.2.1", 25),
    tls=TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", is_verified=True, proof="dane-ee"),
    reply=Reply(451, "later", 7, 1),
    attempts=3,
    next_at=1_700_000_060.0,
    seconds=1.23456,
    report=MessageId("m1r0"),
    text="why",
    cause=Cause.RATE,
    rule="too-fast",
    warnings=("no-to",),
)


def written(events: list[Event], format: Format = Format.JSON) -> list[str]:
    stream = io.StringIO()
    log: EventLog = StreamEventLog(stream, format)
    for event in events:
        log.emit(event)
    assert isinstance(log, StreamEventLog)
    log.close(LIMIT)
    return stream.getvalue().splitlines()


class StuckStream(io.StringIO):
    """A stream whose reader does not read until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.is_reached = threading.Event()
        self.go_on = threading.Event()

    def write(self, text: str) -> int:
        self.is_reached.set()
        self.go_on.wait(LIMIT)
        return super().write(text)


# For machines


def test_an_event_has_every_field_that_applies() -> None:
    assert as_mapping(FULL) == {
        "event": "deferred",
        "at": "2023-11-14T22:13:20.000+00:00",
        "id": "m1",
        "sender": "ann@here.test",
        "recipient": "bob@there.test",
        "recipients": 2,
        "size": 1_000,
        "client": "192.0.2.7",
        "user": "ann",
        "road": "direct",
        "route": "office",
        "site": "there.test",
        "stage": "recipient",
        "host": "mx.there.test",
        "address": "192.0.2.1",
        "port": 25,
        "tls": {
            "version": "TLSv1.3",
            "cipher": "TLS_AES_256_GCM_SHA384",
            "verified": True,
            "proof": "dane-ee",
        },
        "reply": {"code": 451, "status": "4.7.1", "text": "later"},
        "cause": "rate",
        "rule": "too-fast",
        "attempts": 3,
        "next_at": "2023-11-14T22:14:20.000+00:00",
        "seconds": 1.235,
        "report": "m1r0",
        "warnings": ("no-to",),
        "text": "why",
    }


def test_no_field_of_an_event_is_forgotten() -> None:
    for field in fields(Event):
        if field.name not in ("kind", "at", "id"):
            less = copy.copy(FULL)
            object.__setattr__(less, field.name, None)
            assert as_mapping(less) != as_mapping(FULL), field.name


def test_what_does_not_apply_is_left_out_and_what_is_empty_is_not() -> None:
    assert set(as_mapping(PLAIN)) == {"event", "at", "id"}
    assert as_mapping(replace(PLAIN, sender="", recipients=0))["sender"] == ""
    assert as_mapping(replace(PLAIN, sender="", recipients=0))["recipients"] == 0


@pytest.mark.parametrize(
    "text", ["a\r\nb", "\x1b[2J\0\x7f\x85\u2028", "é \U0001f600", "\udcff", '"']
)
def test_an_event_is_one_line_of_ascii_json(text: str) -> None:
    line = as_json(replace(FULL, text=text, reply=Reply(550, text)))

    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert json.loads(line)["text"] == text
    assert json.loads(line)["reply"]["text"] == text


# For people

HOST = Host("mx.there.test", "192.0.2.1", 25)
BOB = Address("bob", "there.test")


def event(kind: Kind) -> Event:
    return replace(PLAIN, kind=kind)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            replace(event(Kind.ACCEPTED), sender="a@x", recipients=2, size=9, client="192.0.2.7"),
            "accepted  m1 from <a@x> at 192.0.2.7 to 2, 9 bytes",
        ),
        (
            replace(
                event(Kind.ACCEPTED),
                sender="a@x",
                recipients=1,
                size=9,
                client="::1",
                next_at=PLAIN.at + 60,
            ),
            "accepted  m1 from <a@x> at ::1 to 1, 9 bytes (held for 60 s)",
        ),
        (
            replace(event(Kind.DELIVERED), recipient=BOB, host=HOST, tls=FULL.tls),
            "delivered m1 bob@there.test at mx.there.test[192.0.2.1]:25 (TLSv1.3)",
        ),
        (
            replace(event(Kind.DELIVERED), recipient=BOB, host=HOST),
            "delivered m1 bob@there.test at mx.there.test[192.0.2.1]:25 (in clear)",
        ),
        (
            replace(event(Kind.DEFERRED), recipient=BOB, reply=FULL.reply, next_at=PLAIN.at + 60),
            "deferred  m1 bob@there.test: 451 4.7.1 later (again in 60 s)",
        ),
        (
            replace(event(Kind.REROUTED), recipient=BOB, reply=FULL.reply, text="connect"),
            "rerouted  m1 bob@there.test: 451 4.7.1 later: connect",
        ),
        (
            replace(event(Kind.REPORTED), sender="a@x", report=MessageId("m1r0")),
            "reported  m1 to <a@x> as m1r0",
        ),
        (replace(event(Kind.DROPPED), text="not reported"), "dropped   m1: not reported"),
        (
            replace(event(Kind.REFUSED), id=None, sender="", client="::1"),
            "refused   - from <> at ::1",
        ),
        (
            replace(
                event(Kind.LOGIN_FAILED), id=None, client="::1", user="ann", text="wrong password"
            ),
            "login-failed - ann at ::1: wrong password",
        ),
        (
            replace(event(Kind.LOCKED), id=None, client="192.0.2.7", text="192.0.2.7, for 15 min"),
            "locked    - somebody at 192.0.2.7: 192.0.2.7, for 15 min",
        ),
        (event(Kind.SETTLED), "settled   m1"),
    ],
)
def test_people_get_a_short_line(event: Event, said: str) -> None:
    _, _, line = for_people(event).partition(" ")

    assert line == said


def test_people_see_no_control_characters() -> None:
    line = for_people(replace(PLAIN, text="\r\n\x1b[2J\0\u2028\udcff é"))

    assert line.endswith(r"\r\n\x1b[2J\x00\u2028\udcff é")


# Never in the way


@pytest.mark.parametrize("format", Format)
def test_events_are_written_in_their_order(format: Format) -> None:
    ids = [f"m{number}" for number in range(2_500)]

    lines = written([replace(PLAIN, id=MessageId(id)) for id in ids], format)

    assert len(lines) == 2_500
    assert all(id in line for id, line in zip(ids, lines, strict=True))


def test_a_stuck_reader_holds_up_nobody_and_costs_no_more_than_its_share(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream = StuckStream()
    log = StreamEventLog(stream, Format.JSON)
    log.emit(PLAIN)
    assert stream.is_reached.wait(LIMIT)

    for _ in range(MAX_WAITING + 100):
        log.emit(PLAIN)

    stream.go_on.set()
    log.close(LIMIT)
    assert len(stream.getvalue().splitlines()) == MAX_WAITING + 1
    assert caplog.messages == ["100 events are lost: nobody read them in time"]


def test_closing_does_not_wait_for_a_stuck_reader() -> None:
    stream = StuckStream()
    log = StreamEventLog(stream, Format.JSON)
    log.emit(PLAIN)
    assert stream.is_reached.wait(LIMIT)

    log.close(0.01)

    assert stream.getvalue() == ""
    stream.go_on.set()
    log.close(LIMIT)


def test_a_reader_that_went_away_stops_nothing_and_is_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    stream = os.fdopen(write_end, "w")
    log = StreamEventLog(stream, Format.JSON)

    log.emit(PLAIN)
    log.emit(PLAIN)
    log.close(LIMIT)

    with pytest.raises(BrokenPipeError):
        stream.close()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "Broken pipe" in caplog.text


def test_a_closed_stream_stops_nothing() -> None:
    stream = io.StringIO()
    stream.close()
    log = StreamEventLog(stream, Format.JSON)

    log.emit(PLAIN)

    log.close(LIMIT)


def test_what_a_terminal_cannot_say_is_escaped_and_nothing_is_lost() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    log = StreamEventLog(stream, Format.PEOPLE)

    log.emit(replace(PLAIN, recipient=Address("jürgen", "there.test")))
    log.close(LIMIT)

    assert raw.getvalue().endswith(b"settled   m1 j\\xfcrgen@there.test\n")


class CountingStream(io.StringIO):
    """A stream that notes what each write brought."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return super().write(text)


def test_lines_are_written_whole_so_that_those_of_other_processes_may_come_between() -> None:
    stream = CountingStream()
    log = StreamEventLog(stream, Format.JSON)
    for number in range(1_000):
        log.emit(replace(FULL, text="x" * (number % 700)))
    log.close(LIMIT)

    assert len(stream.getvalue().splitlines()) == 1_000
    assert all(text.endswith("\n") and len(text) <= select.PIPE_BUF for text in stream.writes)
