"""Where a message's content ends, and what is stored of it."""

import re
import tracemalloc
from collections.abc import Iterable
from itertools import product

import pytest

from mta.model.outcome import Reply

from mta.rules.submission.content import (
    BARE_NEWLINE,
    LINE_TOO_LONG,
    NUL,
    TOO_LARGE,
    BareNewlines,
    ChunkReader,
    ContentReader,
    has_bare_newlines,
)

NORMALISE, REFUSE = BareNewlines.NORMALISE, BareNewlines.REFUSE


def reader(
    *, size: int = 10_000, line_length: int = 1_000, bare_newlines: BareNewlines = NORMALISE
) -> ContentReader:
    return ContentReader(size=size, line_length=line_length, bare_newlines=bare_newlines)


def fed(target: ContentReader, pieces: Iterable[bytes]) -> bytes | None:
    """What came after the end, where every piece is offered; None where there was no end."""
    rest: bytes | None = None
    for piece in pieces:
        rest = target.feed(piece) if rest is None else rest + piece
    return rest


def ways(wire: bytes) -> list[list[bytes]]:
    """The same octets whole, byte by byte, and parted once at every place."""
    single = [wire[place : place + 1] for place in range(len(wire))]
    return [[wire], single, *([wire[:cut], wire[cut:]] for cut in range(1, len(wire)))]


STORED = [
    (b".\r\n", b""),
    (b"\r\n.\r\n", b"\r\n"),
    (b"hello\r\n.\r\n", b"hello\r\n"),
    (b"a\r\n\r\nb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
    # Dots of the protocol
    (b"..\r\n.\r\n", b".\r\n"),
    (b"a\r\n..\r\n.\r\n", b"a\r\n.\r\n"),
    (b"..a\r\n...b\r\n.c\r\n.\r\n", b".a\r\n..b\r\nc\r\n"),
    (b"a.\r\n.\r\n", b"a.\r\n"),
    (b"a..b\r\n.\r\n", b"a..b\r\n"),
    # Bare newlines
    (b"a\nb\r\n.\r\n", b"a\r\nb\r\n"),
    (b"a\rb\r\n.\r\n", b"a\r\nb\r\n"),
    (b"a\r\r\nb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
    (b"a\n\nb\n\r\n.\r\n", b"a\r\n\r\nb\r\n\r\n"),
    (b"a\n\rb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
    (b"a\rb\nc\r\n.\r\n", b"a\r\nb\r\nc\r\n"),
    (b"a\nb\rc\r\n.\r\n", b"a\r\nb\r\nc\r\n"),
    # What is no end, in all its disguises
    (b"a\n.\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
    (b"a\n.\r\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
    (b"a\r\n.\nb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
    (b"a\r\n.\rb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
    (b"a\r.\rb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
    (b"a\r.\r\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
    (b"a\r\r\n.\r\r\n.\r\n", b"a\r\n\r\n\r\n\r\n"),
    (b".\nMAIL FROM:<>\r\n.\r\n", b"\r\nMAIL FROM:<>\r\n"),
    (b".\r.\r\n.\r\n", b"\r\n.\r\n"),
]


@pytest.mark.parametrize(("wire", "content"), STORED)
def test_the_content_is_the_text_between_data_and_the_lone_dot(wire: bytes, content: bytes) -> None:
    for pieces in ways(wire + b"QUIT\r\n"):
        target = reader()

        rest = fed(target, pieces)

        assert (rest, target.take(), target.objection) == (b"QUIT\r\n", content, None), pieces


@pytest.mark.parametrize(
    "wire",
    [
        *(b"", b".", b".\r", b".\n", b"..\r\n", b"a\r\n.\r", b"a\r\n.\n", b"a\n.\n", b"a\n.\r\n"),
        *(b"a\r.\r", b"a\r.\r\n", b"a\r\n.\r\r", b"a\r\n.\r.\n", b"a\r\n. \r\n", b"a\r\n\0.\r\n"),
    ],
)
def test_nothing_else_ends_the_content(wire: bytes) -> None:
    for pieces in ways(wire):
        assert fed(reader(), pieces) is None


@pytest.mark.parametrize(
    ("wire", "objection"),
    [
        (b"a\0b\r\n.\r\n", NUL),
        (b"a" * 11 + b"\r\n.\r\n", LINE_TOO_LONG),
        (b"a\r\n" + b"a" * 11 + b"\r\nb\r\n.\r\n", LINE_TOO_LONG),
        (b"a\r\n" * 7 + b".\r\n", TOO_LARGE),
    ],
)
def test_an_objection_stands_whatever_the_pieces(wire: bytes, objection: Reply) -> None:
    for pieces in ways(wire + b"RSET\r\n"):
        target = reader(size=20, line_length=10)

        rest = fed(target, pieces)

        assert (rest, target.objection) == (b"RSET\r\n", objection), pieces


@pytest.mark.parametrize("wire", [b"a\nb\r\n", b"a\rb\r\n", b"\n", b"a\r\r\n", b".\n\r\n"])
def test_bare_newlines_are_refused_where_the_setting_says_so(wire: bytes) -> None:
    for pieces in ways(wire + b"\r\n.\r\n"):
        target = reader(bare_newlines=REFUSE)

        rest = fed(target, pieces)

        assert (rest, target.objection) == (b"", BARE_NEWLINE), pieces


def test_a_message_and_its_lines_may_be_just_as_large_as_the_limits() -> None:
    wire = b"a" * 10 + b"\r\n" + b".." + b"b" * 9 + b"\r\n.\r\n"

    for pieces in ways(wire):
        target = reader(size=24, line_length=10)
        fed(target, pieces)

        assert target.objection is None
        assert len(target.take()) == 24


def test_a_refused_content_is_thrown_away_and_its_end_still_found() -> None:
    target = reader(size=100)

    rests = [target.feed(b"a" * 99 + b"\r\n") for _ in range(1_000)]
    held = target.held
    end = target.feed(b".\r\nRSET\r\n")

    assert rests == [None] * 1_000
    assert held == 0
    assert end == b"RSET\r\n"
    assert target.seen == 101_009


def test_the_first_objection_stands() -> None:
    target = reader()
    target.feed(b"a\0")

    target.refuse(TOO_LARGE)

    assert target.objection == NUL


def test_no_bare_newline_is_overlooked() -> None:
    for length in range(8):
        for octets in product(b"\r\na", repeat=length):
            text = bytes(octets)

            found = has_bare_newlines(text)

            assert found == bool(re.search(rb"\r(?!\n)|(?<!\r)\n", text)), text


def test_a_text_is_handed_over_once() -> None:
    target = reader()
    target.feed(b"hello\r\n.\r\n")

    assert (target.held, target.take(), target.held, target.take()) == (7, b"hello\r\n", 0, b"")


def test_a_large_content_is_in_memory_hardly_more_than_once() -> None:
    piece = b"0123456789" * 6_000 + b"\r\n"
    target = reader(size=10**8, line_length=10**5)
    tracemalloc.start()

    try:
        for _ in range(200):
            target.feed(piece)
        target.feed(b".\r\n")
        content = target.take()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert content == piece * 200
    assert peak < 1.3 * len(content)


def chunked(
    chunks: Iterable[bytes],
    *,
    size: int = 10_000,
    line_length: int = 1_000,
    bare_newlines: BareNewlines = NORMALISE,
) -> bytes | Reply:
    """What is stored of a content in these chunks, or the objection to it."""
    target = ChunkReader(size=size, line_length=line_length, bare_newlines=bare_newlines)
    parts = [*chunks]
    for place, chunk in enumerate(parts):
        target.begin(len(chunk), is_last=place == len(parts) - 1)
        assert target.feed(chunk + b"QUIT\r\n") == b"QUIT\r\n"
    assert target.is_whole
    return target.objection or target.take()


IN_CHUNKS = [
    (b"", b""),
    (b"hello\r\n", b"hello\r\n"),
    (b"\r\n.\r\n.\r\nQUIT\r\n", b"\r\n.\r\n.\r\nQUIT\r\n"),
    (b"..a\r\n.b", b"..a\r\n.b\r\n"),
    (b"a\nb\rc\n", b"a\r\nb\r\nc\r\n"),
    (b"a\r\r\n\n", b"a\r\n\r\n\r\n"),
    (b"a\r", b"a\r\n"),
    (b"\r", b"\r\n"),
]


@pytest.mark.parametrize(("octets", "stored"), IN_CHUNKS)
def test_chunks_hold_every_octet_and_whole_lines_come_of_them(octets: bytes, stored: bytes) -> None:
    for chunks in ways(octets):
        assert chunked([*chunks, b""]) == stored
        assert chunked(chunks or [b""]) == stored


def test_a_chunk_comes_in_any_pieces() -> None:
    target = ChunkReader(size=100, line_length=100)
    target.begin(4, is_last=False)

    assert [target.feed(piece) for piece in (b"o", b"n", b"e")] == [None, None, None]
    assert target.feed(b"\rBDAT 0 LAST\r\n") == b"BDAT 0 LAST\r\n"
    assert not target.is_whole


@pytest.mark.parametrize(
    ("octets", "objection"),
    [
        (b"a\0", NUL),
        (b"a\nb\r\n", BARE_NEWLINE),
        (b"a\r", BARE_NEWLINE),
        (b"a" * 21, LINE_TOO_LONG),
        (b"a\r\n" * 14, TOO_LARGE),
        (b"a\r\n" * 13 + b"b", TOO_LARGE),  # with the end of its last line
    ],
)
def test_chunks_may_not_hold_what_a_content_may_not(octets: bytes, objection: Reply) -> None:
    for chunks in ways(octets):
        assert chunked(chunks, size=40, line_length=20, bare_newlines=REFUSE) == objection


def test_a_chunk_that_must_be_too_much_is_not_kept() -> None:
    target = ChunkReader(size=100, line_length=100)
    target.begin(60, is_last=False)
    target.feed(b"a\r\n" * 20)
    assert target.held == 60

    target.begin(41, is_last=False)

    assert (target.objection, target.held) == (TOO_LARGE, 0)
