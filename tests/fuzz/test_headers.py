"""Whatever a message looks like, completing it adds our fields, takes out Bcc, and no more.

Invariants: behind the added fields stands the message itself, without its Bcc fields, and with
a blank line where its header ended without one; a second reading finds no Bcc; nothing raises.
"""

from hypothesis import given
from hypothesis import strategies as st

from mta.model.address import Address
from mta.model.envelope import Client, MessageId

from mta.rules.message.headers import Passage, completed, fields, header_of, read_header

LINES = st.sampled_from(
    [
        *(b"Subject: x", b"Date: x", b"Message-ID: <x>", b"Received: x", b"X\t : \xff\xc3\xa9"),
        *(b"Bcc: x", b"bcc : x", b"RESENT-BCC:x", b"Bcc:", b"Bcc", b"X-Bcc: x", b":", b": x"),
        *(b"", b" ", b"\t", b" folded", b"\tfolded: x", b"From ann@here.test Sat", b"no field"),
    ]
) | st.binary(max_size=20).map(lambda line: line.translate(None, b"\r\n\0"))
CONTENT = st.lists(LINES, max_size=12).map(lambda lines: b"".join(x + b"\r\n" for x in lines))
HELO = st.text(max_size=40)

PRIVATE = (b"bcc", b"resent-bcc")


def without_bcc(content: bytes) -> bytes:
    """The message without its Bcc fields, read line by line; header and body parted by a blank."""
    lines = [line + b"\r\n" for line in content.split(b"\r\n")[:-1]]
    kept = b""
    is_private: bool | None = None  # whether the field at hand is; None before the first
    while lines:
        line = lines[0]
        if not (line.startswith((b" ", b"\t")) and is_private is not None):
            name = name_in(line)
            if name is None:
                break
            is_private = name in PRIVATE
        kept += b"" if is_private else line
        del lines[0]
    parting = b"\r\n" if lines and lines[0] != b"\r\n" else b""
    return kept + parting + b"".join(lines)


def name_in(line: bytes) -> bytes | None:
    name, colon, _ = line.partition(b":")
    name = name.rstrip(b" \t").lower()
    return name if colon and name and all(33 <= octet <= 126 for octet in name) else None


@given(CONTENT, HELO)
def test_all_but_the_listed_is_kept_byte_for_byte(content: bytes, helo: str) -> None:
    passage = Passage(MessageId("m1"), "mail.here.test", Client("::1", helo, "ESMTP"), 1e9)

    result = completed(read_header(content), passage, (Address("bob", "there.test"),))

    rest = without_bcc(content)
    added = result.removesuffix(rest)
    present = {field.name for field in fields(content)}
    wanted = [b"received", *(x for x in (b"date", b"message-id") if x not in present)]
    assert result == added + rest
    assert [field.name for field in fields(added)] == wanted
    assert header_of(added) == added


@given(CONTENT)
def test_no_bcc_is_left_for_a_reader_of_the_header(content: bytes) -> None:
    passage = Passage(MessageId("m1"), "mail.here.test", Client("::1", "app", "ESMTP"), 1e9)

    result = completed(read_header(content), passage, (Address("bob", "there.test"),))

    assert not any(field.name in PRIVATE for field in fields(result))
    assert result.removeprefix(header_of(result))[:2] in (b"", b"\r\n")


@given(st.binary(max_size=200))
def test_the_fields_of_anything_stand_in_order_and_touch(content: bytes) -> None:
    end = 0
    for field in fields(content):
        assert field.start == end < field.end
        end = field.end

    assert header_of(content) == content[:end]
