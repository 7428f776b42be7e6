"""What a header says of time."""

import pytest

from mta.model.outcome import Reply
from mta.model.request import Deadline, Late

from mta.rules.message.headers import Header, read_header
from mta.rules.message.urgency import deadline_in, is_bulk, says_nothing

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z


def header(*lines: str) -> Header:
    return read_header("".join(f"{line}\r\n" for line in (*lines, "", "Body")).encode())


@pytest.mark.parametrize(
    ("lines", "bulk"),
    [
        ([], False),
        (["Precedence: bulk"], True),
        (["precedence:  LIST"], True),
        (["Precedence: junk"], True),
        (["List-Unsubscribe: <https://here.test/u>"], True),
        (["List-Id: news <news.here.test>"], True),
        # Somebody waits for it, whatever else is there
        (["Precedence: first-class", "List-Id: <a.test>"], False),
        (["List-Unsubscribe: <https://here.test/u>", "Precedence: special-delivery"], False),
        # Words that say nothing, and a second field
        (["Precedence: soon"], False),
        (["Precedence: soon", "List-Id: <a.test>"], True),
        (["Precedence: first-class", "Precedence: bulk"], False),
        (["Subject: Precedence: bulk"], False),
    ],
)
def test_bulk_is_what_says_so_or_is_for_a_list(lines: list[str], bulk: bool) -> None:
    assert is_bulk(header(*lines)) is bulk


@pytest.mark.parametrize(
    ("value", "deadline"),
    [
        ("15m", Deadline(NOW + 900, Late.DROP)),
        ("90 s", Deadline(NOW + 90, Late.DROP)),
        ("2H;drop", Deadline(NOW + 7_200, Late.DROP)),
        ("1d ; Report", Deadline(NOW + 86_400, Late.FAIL)),
        ("2027-01-15T08:10:00Z", Deadline(NOW + 600, Late.DROP)),
        ("2027-01-15t09:10:00+01:00; report", Deadline(NOW + 600, Late.FAIL)),
    ],
)
def test_a_deadline_is_a_time_from_now_or_a_moment(value: str, deadline: Deadline) -> None:
    assert deadline_in(header(f"X-MTA-Deadline: {value}"), NOW) == deadline


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "15",
        "-15m",
        "15m; never",
        "15m; drop; drop",
        "1234567890s",
        "2027-01-15T08:10:00",  # nowhere in particular
        "2027-13-15T08:10:00Z",
        "9999-12-31T23:59:59-23:59",
        "2" * 41,
        "15m\r\nX-MTA-Deadline: 15m",
    ],
)
def test_what_is_no_deadline_is_refused(value: str) -> None:
    found = deadline_in(header(f"X-MTA-Deadline: {value}"), NOW)

    assert isinstance(found, Reply)
    assert found.status == "5.6.0"


@pytest.mark.parametrize("value", ["0s", "2027-01-15T08:00:00Z", "1999-01-01T00:00:00Z"])
def test_a_deadline_that_has_passed_is_refused(value: str) -> None:
    found = deadline_in(header(f"X-MTA-Deadline: {value}"), NOW)

    assert isinstance(found, Reply)
    assert found.status == "5.4.7"


def test_a_deadline_that_passes_before_the_message_starts_is_refused() -> None:
    found = deadline_in(header("X-MTA-Deadline: 15m"), NOW, NOW + 900)

    assert isinstance(found, Reply)


def test_most_messages_say_nothing_of_time() -> None:
    assert says_nothing(header("Subject: hello"))
    assert not says_nothing(header("X-MTA-Deadline: 1m"))
    assert deadline_in(header("Subject: hello"), NOW) is None
