"""What will surprise about a message, and what will not."""

import pytest

from mta.model.address import parse_address

from mta.rules.message.headers import read_header
from mta.rules.submission.preflight import MAX_LINE, caveats

GOOD = b"From: ann@here.test\r\nTo: bob@there.test\r\nSubject: hi\r\n"
ONE_CLICK = (
    b"List-Unsubscribe: <https://here.test/u>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
)


def found(
    header: bytes = GOOD,
    body: bytes = b"Body\r\n",
    *,
    author: str | None = "here.test",
    sender: str | None = "ann@here.test",
    recipients: int = 1,
) -> list[str]:
    return [
        caveat.code
        for caveat in caveats(
            read_header(header + b"\r\n" + body),
            author=author,
            sender=parse_address(sender) if sender else None,
            recipients=recipients,
            signs=lambda domain: domain.endswith("here.test"),
        )
    ]


def test_a_good_message_has_no_caveats() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("name", "code"),
    [(b"To", "no-to"), (b"Subject", "no-subject")],
)
def test_a_missing_field_is_named(name: bytes, code: str) -> None:
    assert found(GOOD.replace(name + b":", b"X-Other:")) == [code]


def test_cc_is_as_good_as_to() -> None:
    assert found(GOOD.replace(b"To:", b"Cc:")) == []


def test_a_missing_author_is_named() -> None:
    assert found(author=None) == ["no-from"]


def test_a_domain_without_a_key_is_named() -> None:
    assert found(author="else.test", sender="ann@else.test") == ["no-key"]


@pytest.mark.parametrize(
    ("sender", "codes"),
    [
        ("ann@here.test", []),
        ("bounce@mail.here.test", []),
        (None, []),
        ("ann@else.test", ["misaligned"]),
        ("ann@where.test", ["misaligned"]),
    ],
)
def test_a_sender_of_another_domain_is_named(sender: str | None, codes: list[str]) -> None:
    assert found(sender=sender) == codes


@pytest.mark.parametrize(
    "field",
    [b"List-Id: <news.here.test>\r\n", b"Precedence: bulk\r\n", b"PRECEDENCE : \r\n List\r\n"],
)
def test_bulk_mail_wants_one_click(field: bytes) -> None:
    assert found(GOOD + field) == ["no-unsubscribe"]
    assert found(GOOD + field + ONE_CLICK.partition(b"\r\n")[0] + b"\r\n") == ["no-unsubscribe"]
    assert found(GOOD + field + ONE_CLICK) == []


def test_a_message_to_many_is_bulk_mail() -> None:
    assert found(recipients=51) == ["no-unsubscribe"]
    assert found(recipients=51, header=GOOD + ONE_CLICK) == []
    assert found(GOOD + b"Precedence: first-class\r\n", recipients=50) == []


@pytest.mark.parametrize("before", [b"", b"short\r\n", b"x" * MAX_LINE + b"\r\n"])
@pytest.mark.parametrize("after", [b"", b"short\r\n"])
def test_a_long_line_is_found_wherever_it_stands(before: bytes, after: bytes) -> None:
    fits, long = b"x" * MAX_LINE + b"\r\n", b"x" * (MAX_LINE + 1) + b"\r\n"

    assert found(body=before + fits + after) == []
    assert found(body=before + long + after) == ["long-line"]
