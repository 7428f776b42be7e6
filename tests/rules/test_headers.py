"""What a message has more, and less, when it leaves: nothing but what is listed here."""

import email.policy
import re
import tracemalloc
from email.message import EmailMessage

import pytest

from mta.model.address import Address
from mta.model.envelope import Client, MessageId

from mta.rules.message.headers import (
    MAX_HEADER,
    MAX_RECEIVED,
    Passage,
    completed,
    fields,
    header_of,
    objection_to_header,
    read_header,
    tags_in,
    values_of,
    waives_tls,
)

NOW = 1_700_000_000.0
BOB, CAT = Address("bob", "there.test"), Address("cat", "there.test")
TRACE = b"Date: Sat, 1 Nov 2025 10:00:00 +0000\r\nMessage-ID: <m@here.test>\r\n"

# RFC 5321 §4.4, as far as we write it.
DOMAIN = r"[A-Za-z0-9._-]+"
LITERAL = r"\[(?:IPv6:[0-9a-f:.]+|[0-9.]+)\]"
RECEIVED = re.compile(
    rf"from (?:{DOMAIN}|\[[A-Za-z0-9.:]+\])\s\((?:{LITERAL}|unix uid [0-9]+)\)"
    rf"\s+by {DOMAIN} with [A-Z0-9]+ id [a-z0-9]+"
    r"(?:\s+for <[^<>\s]+>)?"
    r";\s+(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}"
)


def passage(address: str = "192.0.2.7", helo: str = "app.here.test") -> Passage:
    return Passage(MessageId("m1"), "mail.here.test", Client(address, helo, "ESMTPS"), NOW)


def through(content: bytes, *recipients: Address, by: Passage | None = None) -> bytes:
    return completed(read_header(content), by or passage(), recipients or (BOB,))


def left_of(content: bytes) -> bytes:
    """What is left of a message that lacks nothing: all behind the Received field."""
    received, *_ = fields(through(content))
    return through(content)[received.end :]


def read(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


def names(content: bytes) -> list[bytes]:
    return [field.name for field in fields(content)]


# The fields of a header


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", []),
        (b"\r\n", []),
        (b"\r\nSubject: x\r\n", []),
        (b"Subject: x\r\n", [b"Subject: x\r\n"]),
        (b"A: 1\r\nB: 2\r\n\r\nC: 3\r\n", [b"A: 1\r\n", b"B: 2\r\n"]),
        (b"A:\r\nB:2\r\n\r\n", [b"A:\r\n", b"B:2\r\n"]),
        (b"A: 1\r\n 2\r\n\t3\r\nB: 4\r\n\r\n", [b"A: 1\r\n 2\r\n\t3\r\n", b"B: 4\r\n"]),
        (b"A: 1\r\n \r\n 2\r\n\r\n", [b"A: 1\r\n \r\n 2\r\n"]),
        (b"A : 1\r\nB\t:2\r\n\r\n", [b"A : 1\r\n", b"B\t:2\r\n"]),
        (b"A: \xff\xfe \xc3\xa9\r\n\r\n", [b"A: \xff\xfe \xc3\xa9\r\n"]),
        (b"A: b: c\r\n\r\n", [b"A: b: c\r\n"]),
        (b"!~/9;<: odd\r\n\r\n", [b"!~/9;<: odd\r\n"]),
        # Lines that are no field end the header, as they do for every reader
        (b"A: 1\r\nno field\r\nB: 2\r\n\r\n", [b"A: 1\r\n"]),
        (b"A: 1\r\n: nameless\r\nB: 2\r\n\r\n", [b"A: 1\r\n"]),
        (b"\xc3\xa9: 1\r\nB: 2\r\n\r\n", []),
        (b" folded\r\nB: 2\r\n\r\n", []),
        (b"From ann@here.test Sat Nov  1 10:00:00 2025\r\nB: 2\r\n\r\n", []),
        (b"A: 1", []),
    ],
)
def test_the_fields_of_a_header(content: bytes, found: list[bytes]) -> None:
    assert [content[field.start : field.end] for field in fields(content)] == found
    assert header_of(content) == b"".join(found)


def test_names_are_given_in_lower_case() -> None:
    assert names(b"Subject: x\r\nX-ODD : y\r\n\r\n") == [b"subject", b"x-odd"]


def test_reading_a_header_copies_nothing_of_the_body() -> None:
    content = b"Subject: x\r\n\r\n" + b"body\r\n" * 1_000_000
    tracemalloc.start()

    found = names(content)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [b"subject"]
    assert peak < 10_000


def test_a_field_folded_a_million_times_costs_no_more_than_another() -> None:
    content = b"Subject: x\r\n" + b" \r\n" * 1_000_000 + b"\r\n"
    tracemalloc.start()

    found = names(content)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [b"subject"]
    assert peak < 10_000


# What is added


def test_a_message_without_them_gets_a_date_and_an_id() -> None:
    content = through(b"Subject: x\r\n\r\nbody\r\n")

    assert names(content) == [b"received", b"date", b"message-id", b"subject"]
    assert read(content)["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert read(content)["Message-ID"] == "<m1@mail.here.test>"


@pytest.mark.parametrize(
    ("content", "added"),
    [
        (TRACE, []),
        (b"Date: x\r\n\r\n", [b"message-id"]),
        (b"MESSAGE-ID:\r\n\r\n", [b"date"]),
        (b"date : x\r\nmessage-id : y\r\n\r\n", []),
        (b"Resent-Date: x\r\nX-Message-ID: y\r\n\r\n", [b"date", b"message-id"]),
        (b"\r\nDate: x\r\nMessage-ID: y\r\n", [b"date", b"message-id"]),
    ],
)
def test_what_is_there_is_not_added_again(content: bytes, added: list[bytes]) -> None:
    assert names(through(content))[: len(added) + 1] == [b"received", *added]
    assert len(names(through(content))) == len(names(content)) + len(added) + 1


@pytest.mark.parametrize(
    ("client", "said"),
    [
        (("192.0.2.7", "app.here.test"), "from app.here.test ([192.0.2.7])"),
        (("2001:db8::7", "app"), "from app ([IPv6:2001:db8::7])"),
        (("fe80::1%eth0", "app"), "from app ([IPv6:fe80::1])"),
        (("unix:1000", "app"), "from app (unix uid 1000)"),
        (("::ffff:192.0.2.7", "app"), "from app ([IPv6:::ffff:192.0.2.7])"),
        (("192.0.2.7", "[192.0.2.7]"), "from [192.0.2.7] ([192.0.2.7])"),
        (("192.0.2.7", "[IPv6:2001:db8::7]"), "from [IPv6:2001:db8::7] ([192.0.2.7])"),
        (("192.0.2.7", "my_laptop"), "from my_laptop ([192.0.2.7])"),
        # A name that could mean something in a field does not get there
        (("192.0.2.7", ""), "from unknown ([192.0.2.7])"),
        (("192.0.2.7", "a b"), "from unknown ([192.0.2.7])"),
        (("192.0.2.7", "a (comment"), "from unknown ([192.0.2.7])"),
        (("192.0.2.7", "a\r\nBcc: eve@here.test"), "from unknown ([192.0.2.7])"),
        (("192.0.2.7", "a\r\n"), "from unknown ([192.0.2.7])"),
        (("192.0.2.7", "a\n"), "from unknown ([192.0.2.7])"),
        (("192.0.2.7", "a;b"), "from unknown ([192.0.2.7])"),
        (("192.0.2.7", "[[192.0.2.7"), "from unknown ([192.0.2.7])"),
        (("192.0.2.7", "bücher.test"), "from unknown ([192.0.2.7])"),
        (("192.0.2.7", "a" * 256), "from unknown ([192.0.2.7])"),
    ],
)
def test_the_received_field_says_who_came_from_where(client: tuple[str, str], said: str) -> None:
    content = through(TRACE, by=passage(*client))

    received = str(read(content)["Received"])
    assert names(content) == [b"received", b"date", b"message-id"]
    assert received.startswith(said)
    assert RECEIVED.fullmatch(received)


@pytest.mark.parametrize(
    ("recipients", "said"),
    [
        ((BOB,), "for <bob@there.test>"),
        ((Address('"b@b"', "there.test"),), 'for <"b@b"@there.test>'),
        ((BOB, CAT), None),  # who must not learn of each other
        ((Address("jürgen", "there.test"),), None),
    ],
)
def test_the_received_field_names_a_recipient_that_is_alone(
    recipients: tuple[Address, ...], said: str | None
) -> None:
    content = through(TRACE, *recipients)

    received = str(read(content)["Received"])
    assert RECEIVED.fullmatch(received)
    assert (said in received) if said else (" for " not in received)


def test_the_received_field_is_folded_at_its_clauses() -> None:
    received, *_ = fields(through(TRACE))

    assert through(TRACE)[: received.end] == (
        b"Received: from app.here.test ([192.0.2.7])\r\n"
        b"\tby mail.here.test with ESMTPS id m1\r\n"
        b"\tfor <bob@there.test>;\r\n"
        b"\tTue, 14 Nov 2023 22:13:20 +0000\r\n"
    )


# What is taken out, and what is left as it came


@pytest.mark.parametrize(
    ("content", "left"),
    [
        (TRACE + b"Bcc: eve@here.test\r\n\r\nhi\r\n", TRACE + b"\r\nhi\r\n"),
        (b"Bcc: eve@here.test\r\n" + TRACE + b"\r\nhi\r\n", TRACE + b"\r\nhi\r\n"),
        (b"BCC: a\r\nbcc : b\r\nResent-Bcc:c\r\nBcc:\r\n" + TRACE + b"\r\n", TRACE + b"\r\n"),
        (TRACE + b"Bcc: a,\r\n b,\r\n\tc\r\nTo: d\r\n\r\n", TRACE + b"To: d\r\n\r\n"),
        (TRACE + b"Bcc: a\r\n", TRACE),
        (TRACE + b"Bcc: a\r\n \r\n b\r\n\r\n", TRACE + b"\r\n"),
        (TRACE + b"X-Bcc: a\r\nBccc: b\r\n\r\n", TRACE + b"X-Bcc: a\r\nBccc: b\r\n\r\n"),
        (TRACE + b"\r\nBcc: of the body\r\n", TRACE + b"\r\nBcc: of the body\r\n"),
    ],
)
def test_bcc_is_taken_out_of_the_header_and_of_nothing_else(content: bytes, left: bytes) -> None:
    assert left_of(content) == left


@pytest.mark.parametrize(
    "content",
    [
        TRACE,
        TRACE + b"\r\n",
        TRACE + b"\r\n\r\n\r\n",
        TRACE + b"\r\nbody without an end of line",
        TRACE + b"sUbJeCt :  odd \t \r\n\tspaces  \r\n\r\nbody \t \r\n\r\n.\r\n..\r\n",
        TRACE + b"Subject: \xfc \xc3\xa9\r\n\r\n" + bytes(range(1, 256)) + b"\r\n",
        TRACE + b"Received: a\r\nReceived: b\r\nDate: twice\r\nTo:\r\n\r\n",
        TRACE + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
)
def test_everything_else_leaves_as_it_came(content: bytes) -> None:
    assert left_of(content) == content


@pytest.mark.parametrize(
    ("content", "header", "body"),
    [
        (b"hello\r\n", b"", b"hello\r\n"),
        (b" hello\r\n", b"", b" hello\r\n"),
        (b"From ann@here.test Sat\r\nTo: x\r\n", b"", b"From ann@here.test Sat\r\nTo: x\r\n"),
        (TRACE + b"hello\r\nBcc: x\r\n", TRACE, b"hello\r\nBcc: x\r\n"),
        (TRACE + b"Bcc: x\r\nhello\r\n", TRACE, b"hello\r\n"),
        (b"Bcc: x\r\nhello\r\n", b"", b"hello\r\n"),
    ],
)
def test_a_header_that_ends_without_a_blank_line_gets_one(
    content: bytes, header: bytes, body: bytes
) -> None:
    result = through(content)

    assert result.endswith(header + b"\r\n" + body)
    assert header_of(result).endswith(header)
    assert result == header_of(result) + b"\r\n" + body


def test_an_empty_message_becomes_one_of_fields_alone() -> None:
    assert names(through(b"")) == [b"received", b"date", b"message-id"]
    assert header_of(through(b"")) == through(b"")


# What may not pass


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"Received: x\r\n" * MAX_RECEIVED + b"\r\n", None),
        (b"Received: x\r\n" * (MAX_RECEIVED + 1) + b"\r\n", "5.4.6"),
        (b"RECEIVED : x\r\n" * (MAX_RECEIVED + 1), "5.4.6"),
        (b"X-Received: x\r\n" * (MAX_RECEIVED + 1) + b"\r\n", None),
        (TRACE + b"\r\n" + b"Received: x\r\n" * (MAX_RECEIVED + 1), None),
        (b"A: " + b"x" * (MAX_HEADER - 5) + b"\r\n\r\nbody\r\n", None),
        (b"A: " + b"x" * (MAX_HEADER - 4) + b"\r\n\r\nbody\r\n", "5.6.0"),
        (b"a:\r\n" * (MAX_HEADER // 4 + 1) + b"\r\n", "5.6.0"),
        (TRACE + b"\r\n" + b"x" * MAX_HEADER, None),
        (b"", None),
    ],
)
def test_a_message_in_a_loop_or_with_an_endless_header_is_refused(
    content: bytes, status: str | None
) -> None:
    objection = objection_to_header(read_header(content))

    assert (objection and objection.status) == status
    assert objection is None or objection.code == 554


@pytest.mark.parametrize(
    ("fields", "is_waived"),
    [
        (b"", False),
        (b"TLS-Required: No\r\n", True),
        (b"tls-required:\r\n no \r\n", True),
        (b"TLS-Required: Yes\r\n", False),
        (b"TLS-Required: No, thanks\r\n", False),
        (b"TLS-Required: No\r\nTLS-Required: No\r\n", False),  # once at most, RFC 8689 §3
    ],
)
def test_an_author_may_waive_tls(fields: bytes, is_waived: bool) -> None:
    header = read_header(b"From: ann@here.test\r\n" + fields + b"\r\nTLS-Required: No\r\n")

    assert waives_tls(header) is is_waived


@pytest.mark.parametrize(
    ("fields", "tags"),
    [
        (b"", ()),
        (b"X-MTA-Tag: welcome\r\n", ("welcome",)),
        (b"x-mta-tag: welcome ,\r\n\ttwo words,, welcome\r\n", ("welcome", "two words")),
        (b"X-MTA-Tag: a\r\nX-MTA-Tag: b\r\n", ("a", "b")),
        (b"X-MTA-Tag: \xc3\xa9t\xc3\xa9\r\n", ("\xe9t\xe9",)),
        (b"X-MTA-Tag:\r\n", ()),
        (b"X-MTA-Tag: " + b"a" * 64 + b"\r\n", ("a" * 64,)),
    ],
)
def test_a_client_may_tag_a_message_and_nobody_else_sees_it(
    fields: bytes, tags: tuple[str, ...]
) -> None:
    header = read_header(fields + TRACE + b"\r\nX-MTA-Tag: body\r\n")

    assert objection_to_header(header) is None
    assert tags_in(header) == tags
    assert left_of(fields + TRACE + b"\r\nHi\r\n") == TRACE + b"\r\nHi\r\n"


@pytest.mark.parametrize(
    "text", [b"a" * 65, b",".join(b"t%d" % number for number in range(21)), b"a\x1bb"]
)
def test_tags_that_are_too_long_or_too_many_are_refused(text: bytes) -> None:
    header = read_header(b"X-MTA-Tag: " + text + b"\r\n\r\n")
    objection = objection_to_header(header)

    assert objection is not None
    assert (objection.code, objection.status) == (554, "5.6.0")
    assert tags_in(header) == ()


def test_the_values_of_a_field_are_unfolded_and_bounded() -> None:
    header = read_header(b"X: one\r\n\ttwo\r\nx: \xff\r\nX: " + b"a" * 2000 + b"\r\n\r\n")

    first, second, long = values_of(header, b"x")

    assert (first, second) == ("one two", "\ufffd")
    assert len(long) <= 1000
    assert values_of(header, b"y") == []
