"""Any split of any content into chunks, fed in any pieces, gives the Submission that DATA gives.

Or neither gives one. The content is the same but for a last line that BDAT may leave without end.
"""

import asyncio
import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mta.model.envelope import Submission

from mta.rules.submission.content import BareNewlines

from tests.edge.fake_door import FakeDoor, run
from tests.edge.visit import visiting

CONTENT = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.\r\n", b"QUIT\r\n", b"BDAT 3 LAST\r\n"])
    | st.binary(max_size=8),
    max_size=20,
).map(b"".join)
CUTS = st.lists(st.integers(min_value=0, max_value=100), max_size=8)
ENVELOPE = b"EHLO c\r\nMAIL FROM:<ann@here.test>\r\nRCPT TO:<bob@there.test>\r\n"


def parts(octets: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    return [octets[begin:end] for begin, end in pairwise(edges)]


def taken(said: list[bytes], bare_newlines: BareNewlines) -> list[Submission]:
    """What is taken of what a client says in these pieces."""

    async def scene() -> list[Submission]:
        door = FakeDoor()
        async with visiting(door, message_size=100, line_length=30) as visit:
            visit.server._service.bare_newlines = bare_newlines
            for piece in said:
                visit.session.data_received(piece)
                await asyncio.sleep(0)
            while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - a message is being taken
                await asyncio.sleep(0)
        return door.submissions

    return run(scene())


def in_chunks(chunks: list[bytes]) -> bytes:
    *begun, last = chunks
    wire = b"".join(b"BDAT %d\r\n%b" % (len(chunk), chunk) for chunk in begun)
    return wire + b"BDAT %d LAST\r\n%b" % (len(last), last)


def after_data(content: bytes) -> bytes:
    """The content behind DATA, as a careful client sends it."""
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"
    lines = content.split(b"\r\n")
    stuffed = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines)
    return b"DATA\r\n" + stuffed + b".\r\n"


@given(CONTENT, CUTS, CUTS, st.sampled_from(BareNewlines))
def test_chunks_bring_what_data_brings(
    content: bytes, chunks: list[int], pieces: list[int], bare_newlines: BareNewlines
) -> None:
    if bare_newlines is BareNewlines.NORMALISE:  # or an LF at the end would get a CRLF behind it
        same = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    else:
        same = content

    by_bdat = taken(parts(ENVELOPE + in_chunks(parts(content, chunks)), pieces), bare_newlines)

    assert by_bdat == taken([ENVELOPE + after_data(same)], bare_newlines)


@given(CONTENT, CUTS, CUTS)
def test_no_octet_of_a_chunk_is_a_command(
    content: bytes, chunks: list[int], pieces: list[int]
) -> None:
    said = ENVELOPE + in_chunks(parts(content, chunks)) + b"VRFY x\r\n"

    async def scene() -> list[str]:
        async with visiting(FakeDoor(), message_size=100) as visit:
            codes = [code for piece in parts(said, pieces) for code in visit.say(piece)]
            while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - a message is being taken
                await asyncio.sleep(0)
            return codes + visit.wire.codes()

    codes = run(scene())

    replies_before = 3 + len(parts(content, chunks))
    assert len(codes) == replies_before + 1
    assert codes[-1] == "252"
