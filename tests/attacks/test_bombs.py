"""Small bodies that would take hours or gigabytes: each is refused, or done, at one look.

What took quadratic time takes hours at these sizes, so a relapse does not end in time.
"""

import tracemalloc
from collections.abc import Callable

import pytest

from mta.model.address import Address
from mta.model.draft import Draft, Mailbox

from mta.rules.message.compose import composed, objection_to_field
from mta.rules.message.headers import read_header
from mta.rules.message.signing import author
from mta.rules.submission.content import TOO_LARGE, normalised

from mta.edge.api.problems import Problem
from mta.edge.api.reading import MAX_STRUCTURE, read_json, read_message
from mta.edge.idn import to_ascii

MIB = 1024 * 1024
ANN = Address("ann", "here.test")


def peak_of(work: Callable[[], object]) -> int:
    """The octets of Python objects that something takes at its height."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [
        b'"' + b'\\"' * MIB,
        b'{"a":"' + b"\\\n" * MIB,
        b'["",' + b'"",' * MAX_STRUCTURE,
        b'"' * 4 * MIB,
    ],
    ids=["escaped quotes without an end", "escaped newlines", "empty strings", "quotes alone"],
)
def test_json_whose_strings_are_a_trap_is_refused(body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        read_json(body)

    assert caught.value.status in (400, 413)


@pytest.mark.parametrize(
    "raw",
    [
        {"from": "a@b.test", "to": [""] * 100_000},
        {"from": "a@b.test", "tags": [0] * 100_000},
        {"from": "a@b.test", "attachments": [0] * 100_000},
        {"from": "a@b.test", "attachments": [dict.fromkeys(map(str, range(100_000)), 0)]},
        {"from": "a@b.test", "headers": dict.fromkeys(map(str, range(100_000)), 0)},
        dict.fromkeys(map(str, range(100_000)), 0),
        [0] * 100_000,
    ],
    ids=["to", "tags", "attachments", "attachment", "headers", "keys", "list"],
)
def test_a_hundred_thousand_mistakes_are_not_even_looked_for(raw: object) -> None:
    def read() -> None:
        with pytest.raises(Problem) as caught:
            read_message(raw, to_ascii)
        assert caught.value.status == 413

    assert peak_of(read) < 8 * MIB


def test_a_problem_that_is_kept_keeps_no_thousands_of_mistakes() -> None:
    with pytest.raises(Problem) as caught:
        read_message({"from": "a@b.test", "to": [""] * 9_000}, to_ascii)

    assert "(and 8999 more)" in caught.value.detail
    frames = []
    trace = caught.value.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    kept = [value for frame in frames for value in frame.f_locals.values()]
    assert max(len(value) for value in kept if isinstance(value, list)) <= 100


def test_blanks_where_a_name_would_be_are_passed_at_one_look() -> None:
    raw = {"from": "a@b.test", "to": [" " * 500] * 3_000, "text": ""}  # 0.06 s each, once

    with pytest.raises(Problem) as caught:
        read_message(raw, to_ascii)

    assert caught.value.detail.startswith("to[0]: ")


def test_blanks_behind_a_header_field_are_passed_at_one_look() -> None:
    assert objection_to_field("X-Blank", "x" + " " * 30_000) is None
    assert objection_to_field("X-Blank", "x" + " " * 10 * MIB) is not None


def test_a_body_of_nothing_but_newlines_takes_no_more_than_a_few_times_its_size() -> None:
    text = b"ab\n" * MIB

    assert peak_of(lambda: normalised(text, size=5 * MIB, line_length=1000)) < 24 * MIB
    assert normalised(text, size=4 * MIB - 1, line_length=1000) == TOO_LARGE


def test_a_text_of_short_lines_takes_no_more_than_a_few_times_its_size() -> None:
    draft = Draft(sender=Mailbox(ANN, ""), to=(Mailbox(ANN, ""),), text="ab\n" * MIB)

    assert peak_of(lambda: composed(draft)) < 24 * MIB


@pytest.mark.timeout(20)
@pytest.mark.parametrize("mark", ["[", "<", "<[", "(", '"', "@", ",", ";", "\\"])
def test_brackets_without_an_end_hold_nobody_up(mark: str) -> None:
    field = f"From: {mark * 16_000}\r\n\r\n".encode()

    for _ in range(200):  # 0.2 s each, once
        assert author(read_header(field)) is None
