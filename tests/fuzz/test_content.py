"""Whatever comes and however it is parted, the content read is one safe text, or refused.

Invariants: the pieces do not matter; the text holds no newline but CRLF and ends in one; with
its dots put back it reads the same; nothing is ever raised.
"""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mta.rules.submission.content import BareNewlines, ContentReader

# Mostly the octets that matter, so that every ending and every near-ending comes up.
WIRE = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"\r\n.\r\n", b"a", b"\0", b"\xff"])
    | st.binary(max_size=8),
    max_size=40,
).map(b"".join)
CUTS = st.lists(st.integers(min_value=0, max_value=200), max_size=12)
SETTINGS = st.sampled_from(BareNewlines)

Reading = tuple[bytes | None, bytes | None]


def reading(wire: bytes, cuts: list[int], bare_newlines: BareNewlines) -> Reading:
    """What came after the end, and the content; None for no end, and for a content refused."""
    reader = ContentReader(size=60, line_length=20, bare_newlines=bare_newlines)
    rest: bytes | None = None
    edges = [0, *sorted(cuts), len(wire)]
    for begin, end in pairwise(edges):
        piece = wire[begin:end]
        rest = reader.feed(piece) if rest is None else rest + piece
    return rest, None if rest is None or reader.objection else reader.take()


def stuffed(content: bytes) -> bytes:
    """The content as it goes on the wire (RFC 5321 §4.5.2), written another way."""
    lines = content.split(b"\r\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b".\r\n"


@given(WIRE, CUTS, SETTINGS)
def test_the_pieces_do_not_matter(wire: bytes, cuts: list[int], setting: BareNewlines) -> None:
    cuts = [min(cut, len(wire)) for cut in cuts]

    assert reading(wire, cuts, setting) == reading(wire, [], setting)


@given(WIRE, SETTINGS)
def test_the_content_is_crlf_text_without_nul(wire: bytes, setting: BareNewlines) -> None:
    _, content = reading(wire + b"\r\n.\r\n", [], setting)

    if content is not None:
        bare = content.replace(b"\r\n", b"")
        assert b"\r" not in bare
        assert b"\n" not in bare
        assert b"\0" not in bare
        assert content == b"" or content.endswith(b"\r\n")
        assert len(content) <= 60


@given(WIRE, SETTINGS)
def test_the_content_sent_on_reads_the_same(wire: bytes, setting: BareNewlines) -> None:
    _, content = reading(wire + b"\r\n.\r\n", [], setting)

    if content is not None:
        assert reading(stuffed(content) + b"QUIT\r\n", [], setting) == (b"QUIT\r\n", content)


@given(WIRE)
def test_the_content_ends_at_the_first_lone_dot_and_nowhere_else(wire: bytes) -> None:
    rest, _ = reading(wire, [], BareNewlines.NORMALISE)

    _, end, after = (b"\r\n" + wire).partition(b"\r\n.\r\n")
    assert rest == (after if end else None)
