"""What a program wrote, made into a message."""

import pytest

from mta.model.address import Address

from mta.rules.message.composition import completed_by_author, recipients_in, text_of, with_key
from mta.rules.message.headers import read_header
from mta.rules.message.mailboxes import MailboxError

ANN = Address("ann", "x.test")
NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"", b""),
        (b"a\nb\n", b"a\r\nb\r\n"),
        (b"a\r\nb\r\n", b"a\r\nb\r\n"),
        (b"a\nb", b"a\r\nb\r\n"),
        (b"a\rb\r\r\n", b"a\r\nb\r\n\r\n"),
        (b"From ann Sat Nov 21\nTo: b\n\nx\n", b"To: b\r\n\r\nx\r\n"),
        (b"From ann Sat Nov 21\n>From bob Fri\nTo: b\n", b"To: b\r\n"),
        (b"From: ann\n\nFrom here on\n", b"From: ann\r\n\r\nFrom here on\r\n"),
        (b"\xe4\xff\n", b"\xe4\xff\r\n"),
        (b"a\n.\nb\n", b"a\r\n.\r\nb\r\n"),
    ],
)
def test_text_becomes_lines_of_the_wire(octets: bytes, expected: bytes) -> None:
    assert text_of(octets, ends_at_dot=False) == expected


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"a\n.\nb\n", b"a\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n"),
        (b"a\n.", b"a\r\n"),
        (b".\nb\n", b""),
        (b"a\n..\n.b\n. \nc.\n", b"a\r\n..\r\n.b\r\n. \r\nc.\r\n"),
    ],
)
def test_a_dot_alone_ends_it_unless_told_otherwise(octets: bytes, expected: bytes) -> None:
    assert text_of(octets, ends_at_dot=True) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"To: a@x.test\r\nCc: B <b@x.test>,\r\n c\r\nBcc: d@x.test\r\n",
         ["a@x.test", "b@x.test", "c@host.test", "d@x.test"]),
        (b"to : a@x.test\r\nTO: b@x.test\r\n", ["a@x.test", "b@x.test"]),
        (b"To: a@x.test\r\nResent-To: b@x.test\r\nResent-Bcc: c@x.test\r\n",
         ["b@x.test", "c@x.test"]),
        (b"To: =?utf-8?q?=C3=84?= <a@x.test>\r\n", ["a@x.test"]),
        (b"Subject: x\r\n\r\nTo: a@x.test\r\n", []),
    ],
)  # fmt: skip
def test_recipients_stand_in_the_header(header: bytes, expected: list[str]) -> None:
    found = recipients_in(read_header(header + b"\r\n"), hostname=lambda: "host.test")

    assert [str(address) for address in found] == expected


def test_a_field_that_cannot_be_read_is_named() -> None:
    with pytest.raises(MailboxError, match=r"^Cc: expected mailboxes"):
        recipients_in(read_header(b"Cc: a b\r\n\r\n"), hostname=lambda: "host.test")


def completed(content: bytes, sender: Address | None = ANN, full_name: str = "") -> bytes:
    return completed_by_author(
        read_header(content), sender, full_name=full_name, hostname=lambda: "host.test", now=NOW
    )


def test_a_message_that_says_when_and_from_whom_stays_as_it_is() -> None:
    content = b"From: b@x.test\r\nDate: today\r\n\r\nx\r\n"

    assert completed(content) == content


@pytest.mark.parametrize(
    ("sender", "full_name", "author"),
    [
        (ANN, "", b"ann@x.test"),
        (ANN, "Ann Doe", b"Ann Doe <ann@x.test>"),
        (ANN, "Doe, Ann", b'"Doe, Ann" <ann@x.test>'),
        (ANN, "Änn", b"=?utf-8?q?=C3=84nn?= <ann@x.test>"),
        (ANN, "A\r\nBcc: c@x.test\0", b'"A Bcc: c@x.test" <ann@x.test>'),
        (None, "", b"MAILER-DAEMON@host.test"),
        (Address("änn", "x.test"), "Änn", "<änn@x.test>".encode()),
    ],
)
def test_an_author_is_added(sender: Address | None, full_name: str, author: bytes) -> None:
    content = completed(b"Date: today\r\n\r\nx\r\n", sender, full_name)

    assert content == b"From: " + author + b"\r\nDate: today\r\n\r\nx\r\n"


@pytest.mark.parametrize("body", [b"hello\r\n", b"hello: you\r\n, and me\r\n", b""])
def test_what_has_no_header_is_a_body(body: bytes) -> None:
    content = completed(body)

    header = read_header(content)
    assert content.startswith(b"Date: ")
    assert {b"date", b"from"} <= {field.name for field in header.fields}
    assert content[header.end :].startswith(b"\r\n")


def test_a_key_is_added_where_there_is_none() -> None:
    assert with_key(read_header(b"To: a\r\n\r\n"), "k").content == (
        b"Idempotency-Key: k\r\nTo: a\r\n\r\n"
    )
    own = read_header(b"To: a\r\nIDEMPOTENCY-KEY: mine\r\n\r\n")
    assert with_key(own, "k") == own
