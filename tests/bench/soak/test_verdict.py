"""What is held against the server, and what is not."""

import json
import math
from collections import Counter
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import pytest

from tests.bench.soak import verdict
from tests.bench.soak.mood import Point
from tests.bench.soak.samples import HEAD, Sample, kind_of, row
from tests.e2e.copies import Copy
from tests.e2e.traffic import Sent

DIGEST = sha256(b"1").digest()
SENT = Sent("1", "ann@app.test", ("ok-1@d0.test",), DIGEST, is_large=False, id="a1")
COPY = Copy("1", "a1", SENT.sender, SENT.recipients, (), DIGEST, 10.0, 10.1, was_cut=False)
SAMPLE = Sample(
    at=60.0,
    spell="calm",
    life=1,
    pss=60_000_000,
    rss=70_000_000,
    threads=4,
    descriptors={"socket": 3, "file": 4},
    owed=0,
    accepted=100.0,
    delivered=100.0,
    segments=1,
    waiting=0,
)


@dataclass
class Found:
    mail: list[Copy] = field(default_factory=list)
    reports: list[Copy] = field(default_factory=list)


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.json"
    path.write_text('{"event": "accepted", "id": "a1"}\n{"event": "del')
    return path


def charges(events: Path, *mail: Copy, kills: tuple[float, ...] = ()) -> list[str]:
    return list(verdict.of_mail([SENT], Found([*mail]), kills, events))


def test_a_message_that_arrived_once_is_right(events: Path) -> None:
    assert charges(events, COPY) == []


def test_a_message_that_never_came_is_named(events: Path) -> None:
    (charge,) = charges(events)

    assert charge.startswith("1 accepted recipients have neither")
    assert charge.endswith("a report: 1 for ok-1@d0.test")


def test_a_message_that_is_not_what_was_sent_is_named(events: Path) -> None:
    (charge,) = charges(events, replace(COPY, digest=b"other"))

    assert charge.startswith("1 messages are not what was sent")


def test_a_repeat_needs_a_kill_or_an_answer_that_never_came(events: Path) -> None:
    again = replace(COPY, whole_at=20.0, answered_at=20.1)
    unanswered = replace(COPY, answered_at=math.inf)

    assert charges(events, unanswered, again) == []
    assert charges(events, COPY, again, kills=(10.2,)) == []
    (charge,) = charges(events, COPY, again, kills=(15.0,))
    assert charge == (
        "1 messages were repeated without need: 1 (a1) for ok-1@d0.test, whole at 10.000,"
        " answered at 10.100, again at 20.000"
    )


def test_a_copy_after_the_end_is_named(events: Path) -> None:
    settled = {"event": "settled", "id": "a1", "at": "1970-01-01T00:00:05.000+00:00"}
    events.write_text(json.dumps(settled) + "\n")

    (charge,) = charges(events, COPY)

    assert charge.startswith("1 messages came after their end")


def test_memory_may_grow_by_its_slack_and_no_more() -> None:
    most = replace(SAMPLE, rss=SAMPLE.rss + verdict.MEMORY_SLACK)

    assert list(verdict.of_memory([SAMPLE, most])) == []
    (charge,) = verdict.of_memory([SAMPLE, replace(most, rss=most.rss + 1)])
    assert charge.startswith("memory grew: ")


def test_a_descriptor_that_stays_open_is_named_by_its_kind() -> None:
    end = replace(SAMPLE, descriptors={"socket": 4, "file": 3})

    (charge,) = verdict.of_rest(SAMPLE, end)

    assert charge == "4 descriptors of the kind socket are open, 3 before the load"


def test_threads_may_fill_their_pools_and_no_more() -> None:
    most = replace(SAMPLE, threads=SAMPLE.threads + verdict.THREAD_SLACK)

    assert list(verdict.of_rest(SAMPLE, most)) == []
    assert len(list(verdict.of_rest(SAMPLE, replace(most, threads=most.threads + 1)))) == 1


def test_what_is_left_in_the_spool_is_named(tmp_path: Path) -> None:
    for name in ("journal/1.seg", "journal/2.seg", "waiting/4f/a1.msg", "quarantine/1.seg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    left = list(verdict.of_spool(tmp_path, segments=1))

    assert [charge.split()[0] for charge in left] == ["2", "1", "1"]
    assert "a1.msg" in left[1]


def test_errors_in_the_log_are_held_against_it_and_warnings_are_not(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("INFO ready\nWARNING waiting for replies\nERROR a1: ended in a bug\n")

    (charge,) = verdict.of_log(log)

    assert charge == "1 errors in the server's log: ERROR a1: ended in a bug"


def test_a_soak_in_which_too_little_went_wrong_proves_nothing() -> None:
    counts = Counter({f"lost {point}": 1 for point in Point})
    counts.update(("stalled", "put off", "refused"))
    assert list(verdict.of_course(counts)) == []

    del counts[f"lost {Point.DOT}"]

    (charge,) = verdict.of_course(counts)
    assert str(Point.DOT) in charge


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("socket:[5]", "socket"),
        ("pipe:[5]", "pipe"),
        ("anon_inode:[eventpoll]", "other"),
        ("/spool/journal/1.seg", "file"),
        ("/a:b", "file"),
    ],
)
def test_descriptors_are_told_apart(link: str, expected: str) -> None:
    assert kind_of(link) == expected


def test_a_row_stands_below_the_head() -> None:
    assert len(row(SAMPLE)) == len(HEAD)
