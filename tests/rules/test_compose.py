"""A message made of a draft: what every reader understands, and nobody can break out of."""

import email
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.model.address import parse_address
from mta.model.draft import Attachment, Draft, Mailbox

from mta.rules.message.compose import CONTROL, MAX_LINE, WIDTH, composed, field, objection_to_field
from mta.rules.message.headers import fields

ANN = Mailbox(parse_address("ann@here.test"))
BOB = Mailbox(parse_address("bob@there.test"))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300).filter(
    lambda text: not CONTROL.search(text)
)
BODY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=500)


def read(content: bytes) -> EmailMessage:
    return email.message_from_bytes(content, policy=policy.default)


def unfolded(text: str) -> str:
    return text.replace("\r\n", "")


def names(content: bytes) -> list[bytes]:
    return [one.name for one in fields(content)]


def test_a_plain_message_is_plain() -> None:
    draft = Draft(ANN, (BOB,), subject="Hello", text="It works.\n")

    assert composed(draft) == (
        b"From: ann@here.test\r\n"
        b"To: bob@there.test\r\n"
        b"Subject: Hello\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=us-ascii\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"It works.\r\n"
    )


def test_parts_stand_where_readers_look_for_them() -> None:
    logo = Attachment(b"\x89PNG", "image/png", "logo.png", "logo")
    bill = Attachment(b"%PDF", "application/pdf", "Rechnung für Jörg.pdf")
    draft = Draft(ANN, (BOB,), text="hi", html="<img src='cid:logo'>", attachments=(logo, bill))

    message = read(composed(draft))

    shapes = [part.get_content_type() for part in message.walk()]
    assert shapes == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
    ]
    files = [part for part in message.walk() if part.get_filename()]
    assert [part.get_filename() for part in files] == ["logo.png", "Rechnung für Jörg.pdf"]
    assert [part.get_payload(decode=True) for part in files] == [b"\x89PNG", b"%PDF"]
    assert files[0]["content-id"] == "<logo>"
    assert message.defects == []


def test_hidden_recipients_leave_no_trace() -> None:
    content = composed(Draft(ANN, subject="s", text="t"))

    assert b"To: undisclosed-recipients:;\r\n" in content
    assert b"bcc" not in names(content)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("Ann", "Ann <ann@here.test>"),
        ("Ann, of Here", '"Ann, of Here" <ann@here.test>'),
        ('a "b" \\c', '"a \\"b\\" \\\\c" <ann@here.test>'),
        ("Änn", "=?utf-8?B?w4Rubg==?=\r\n <ann@here.test>"),
        ("=?utf-8?Q?x?=", "=?utf-8?B?PT91dGYtOD9RP3g/PQ==?=\r\n <ann@here.test>"),
    ],
)
def test_a_name_is_written_so_that_it_is_read_as_it_was_meant(name: str, header: str) -> None:
    content = composed(Draft(Mailbox(ANN.address, name), (BOB,), text=""))

    assert content.startswith(f"From: {header}\r\nTo:".encode())


def test_what_looks_like_an_encoded_word_cannot_become_a_field() -> None:
    evil = "=?us-ascii?q?hi=0D=0ABcc=3A_x?="  # CVE-2024-6923

    line = field("Subject", evil)

    assert "hi=0D" not in line
    assert str(make_header(decode_header(unfolded(line).removeprefix("Subject: ")))) == evil


def test_a_word_that_fits_in_no_line_is_encoded() -> None:
    lines = field("Subject", "x" * 998).split("\r\n")

    assert max(map(len, lines)) <= WIDTH


@given(TEXT, TEXT, TEXT, BODY, BODY)
def test_no_text_adds_a_field_or_a_long_line(
    subject: str, name: str, filename: str, text: str, html: str
) -> None:
    file = Attachment(b"x" * 100, filename=filename)
    draft = Draft(
        Mailbox(ANN.address, name),
        (BOB,),
        (),
        (),
        subject,
        text,
        html,
        (file,),
        (("X-A", subject),),
    )

    content = composed(draft)

    about = [b"subject"] if subject else []
    assert names(content) == [
        *(b"from", b"to", *about, b"x-a", b"mime-version", b"content-type"),
    ]
    assert content.isascii()
    assert b"\r" not in content.replace(b"\r\n", b"")
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert max(map(len, content.split(b"\r\n"))) <= MAX_LINE


@given(TEXT)
def test_a_field_is_read_as_it_was_written(text: str) -> None:
    line = field("Subject", text)

    value = unfolded(line).partition(":")[2].strip()
    is_encoded = "=?utf-8?B?" in line
    assert (str(make_header(decode_header(value))) if is_encoded else value) == text.strip()
    if is_encoded:
        assert max(map(len, line.split("\r\n"))) <= WIDTH


@given(BODY, BODY)
def test_a_body_is_read_as_it_was_written(text: str, html: str) -> None:
    message = read(composed(Draft(ANN, (BOB,), text=text, html=html)))

    bodies = [
        cast("bytes", part.get_payload(decode=True)).decode()
        for part in message.walk()
        if not part.is_multipart()
    ]
    expected = [one.replace("\r\n", "\n").replace("\r", "\n") for one in (text, html)]
    assert [body.replace("\r\n", "\n").removesuffix("\n") for body in bodies] == [
        one.removesuffix("\n") for one in expected
    ]


def test_a_body_cannot_end_its_part() -> None:
    first = composed(Draft(ANN, (BOB,), text="a", html="b"))
    boundary = first.partition(b'boundary="')[2].partition(b'"')[0].decode()

    again = read(composed(Draft(ANN, (BOB,), text=f"a\n--{boundary}--\n", html="b")))

    assert len(list(again.iter_parts())) == 2


@pytest.mark.parametrize(
    ("name", "text", "objection"),
    [
        ("X-Good", "anything at all", None),
        ("List-Unsubscribe", "<https://here.test/u>", None),
        ("Bcc", "x", "not made from the rest"),
        ("CONTENT-Type", "x", "not made from the rest"),
        ("Resent-To", "x", "not made from the rest"),
        ("X A", "x", "a field's name"),
        ("X:", "x", "a field's name"),
        ("", "x", "a field's name"),
        ("X\r\nBcc", "x", "a field's name"),
        ("X", "a\r\nBcc: x", "no control"),
        ("X", "a\0", "no control"),
        ("X", "a\u2028b", "no control"),
        ("X", "a\x85b", "no control"),
        ("X", "\ud800", "no control"),
        ("X", "w" * 1000, "words of at most"),
    ],
)
def test_a_field_that_could_do_harm_is_refused(name: str, text: str, objection: str | None) -> None:
    found = objection_to_field(name, text)

    assert (found is None) if objection is None else objection in (found or "")
