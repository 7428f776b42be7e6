import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.model.outcome import Reply

from mta.edge.smtpclient.offers import Offers, offers_in
from mta.edge.smtpclient.replies import (
    MAX_TEXT,
    MalformedReply,
    RawReply,
    ReplyReader,
    legible,
)


def replies_in(*segments: bytes, most: int = 1000) -> list[RawReply]:
    reader = ReplyReader()
    found: list[RawReply] = []
    for segment in segments:
        reader.read(segment, found, most)
    return found


CASES = {
    b"250 ok\r\n": [RawReply(250, (b"ok",))],
    b"250-a\r\n250-b\r\n250 c\r\n": [RawReply(250, (b"a", b"b", b"c"))],
    b"250\r\n": [RawReply(250, (b"",))],
    b"250 \r\n": [RawReply(250, (b"",))],
    b"250-\r\n250 \r\n": [RawReply(250, (b"", b""))],
    b"220 bare newline\n": [RawReply(220, (b"bare newline",))],
    b"250 a\r\n550 b\r\n": [RawReply(250, (b"a",)), RawReply(550, (b"b",))],
    b"250 ok": [],
    b"250-a\r\n250-b\r\n": [],
    b"": [],
}


@pytest.mark.parametrize("data", CASES)
def test_replies_are_read_whole(data: bytes) -> None:
    assert replies_in(data) == CASES[data]


@pytest.mark.parametrize("data", CASES)
def test_replies_are_read_byte_by_byte(data: bytes) -> None:
    assert replies_in(*(bytes([byte]) for byte in data)) == CASES[data]


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"ok\r\n",
        b"25 ok\r\n",
        b"2500 ok\r\n",
        b"250_ok\r\n",
        b"150 ok\r\n",
        b"650 ok\r\n",
        b" 250 ok\r\n",
        b"+25 ok\r\n",
        "\uff12\uff15\uff10 ok\r\n".encode(),
        b"250-a\r\n251 b\r\n",
        b"250-a\r\nb\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\x16\x03\x01\n",
    ],
)
def test_what_is_no_reply_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedReply):
        replies_in(data)


@pytest.mark.parametrize(
    ("most", "rest"),
    [(0, b"250 a\r\n250 b\r\n25"), (1, b"250 b\r\n25"), (2, b"25"), (3, b"25")],
)
@pytest.mark.parametrize("cut", range(17))
def test_the_rest_is_what_was_not_taken(most: int, rest: bytes, cut: int) -> None:
    data = b"250 a\r\n250 b\r\n25"
    reader = ReplyReader()
    found: list[RawReply] = []

    reader.read(data[:cut], found, most)
    reader.read(data[cut:], found, most)

    assert reader.rest == rest
    assert found == [RawReply(250, (b"a",)), RawReply(250, (b"b",))][:most]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((b"ok",), Reply(550, "ok")),
        ((b"5.1.1 a", b"5.1.1 b"), Reply(550, "a b", 1, 1)),
        ((b"5.1.1 a", b"5.1.2 b"), Reply(550, "a 5.1.2 b", 1, 1)),
        ((b"5.1.1",), Reply(550, "", 1, 1)),
        ((b"2.1.1 a",), Reply(550, "2.1.1 a")),
        ((b"",), Reply(550, "")),
        ((b"\xff\0\x1b\x7f",), Reply(550, r"\xff\x00\x1b\x7f")),
        (("ü\u202e\u2028".encode(),), Reply(550, r"ü\xe2\x80\xae\xe2\x80\xa8")),
    ],
)
def test_a_reply_becomes_one_legible_line(lines: tuple[bytes, ...], expected: Reply) -> None:
    assert RawReply(550, lines).legible() == expected


def test_a_long_reply_is_cut_short() -> None:
    text = RawReply(550, (b"x" * 5000, b"y")).legible().text

    assert text == "x" * (MAX_TEXT - 3) + "..."


@given(st.binary(max_size=300))
def test_legible_text_is_printable_whatever_it_was(raw: bytes) -> None:
    text = legible(raw)

    assert text.isprintable()
    text.encode()


def plainly_read(data: bytes) -> tuple[list[RawReply], bool]:
    """The replies in `data`, line by line with nothing remembered, and whether all was well."""
    replies: list[RawReply] = []
    lines: list[tuple[bytes, bytes]] = []
    for line in data.split(b"\n")[:-1]:
        found = re.fullmatch(rb"([2-5]\d\d)(?:([ -])((?s:.*)))?", line.removesuffix(b"\r"))
        if found is None or (lines and lines[0][0] != found[1]):
            return replies, False
        lines.append((found[1], found[3] or b""))
        if found[2] != b"-":
            replies.append(RawReply(int(found[1]), tuple(text for _, text in lines)))
            lines = []
    return replies, True


reply_like = st.lists(
    st.sampled_from(
        [b"250 ok", b"250-ok", b"250", b"550 5.1.1 no", b"354 go", b"\r\n", b"\r\n", b"\n", b"\r"]
    )
    | st.sampled_from([b"250 \xff\0", b"250 " + b"x" * 99, b"250-" + b"y" * 200, b"9", b" "])
    | st.binary(max_size=4),
    max_size=30,
).map(b"".join)


@given(reply_like, st.lists(st.integers(0, 300), max_size=6))
def test_replies_are_read_as_if_nothing_were_remembered(data: bytes, cuts: list[int]) -> None:
    reader = ReplyReader()
    found: list[RawReply] = []
    is_well = True
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    try:
        for begin, end in pairwise(edges):
            reader.read(data[begin:end], found, 1000)
    except MalformedReply:
        is_well = False

    assert (found, is_well) == plainly_read(data)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_reading_does_not_depend_on_where_segments_end(data: bytes, cut: int) -> None:
    def outcome(*segments: bytes) -> object:
        try:
            return replies_in(*segments)
        except MalformedReply as error:
            return str(error)

    assert outcome(data[:cut], data[cut:]) == outcome(data)


def test_offers_are_read_in_any_case_and_order() -> None:
    reply = RawReply(
        250, (b"mx", b"pipelining", b"Size 1000 ", b"8BITMIME", b"AUTH plain LOGIN", b"STARTTLS")
    )

    offers = offers_in(reply)

    assert offers == Offers(
        has_starttls=True,
        has_pipelining=True,
        has_8bitmime=True,
        has_size=True,
        size_limit=1000,
        login_methods=("plain", "login"),
    )


def test_the_first_line_offers_nothing() -> None:
    assert offers_in(RawReply(250, (b"STARTTLS",))) == Offers()


@pytest.mark.parametrize(
    "size", [b"SIZE", b"SIZE 0", b"SIZE -1", b"SIZE 1e9", b"SIZE " + b"9" * 5000]
)
def test_a_size_that_is_no_limit_limits_nothing(size: bytes) -> None:
    offers = offers_in(RawReply(250, (b"mx", size)))

    assert (offers.has_size, offers.size_limit) == (True, 0)


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), min_size=1))
def test_any_answer_to_ehlo_can_be_read(lines: list[bytes]) -> None:
    offers = offers_in(RawReply(250, tuple(lines)))

    assert offers.size_limit >= 0
