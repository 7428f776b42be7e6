"""Whatever a client says and however it is parted, it hears the same, and the same mail is taken.

Invariants: the pieces do not matter; nothing is ever raised; no client holds memory in the end.
"""

import asyncio
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mta.model.envelope import Submission

from tests.edge.fake_door import FakeDoor, run
from tests.edge.visit import visiting

LINES = st.sampled_from(
    [
        *(b"HELO c\r\n", b"EHLO c\r\n", b"MAIL FROM:<ann@here.test>\r\n", b"DATA\r\n", b"RSET\r\n"),
        *(b"MAIL FROM:<> SIZE=9\r\n", b"RCPT TO:<bob@there.test>\r\n", b"RCPT TO:<full@b>\r\n"),
        *(
            b"QUIT\r\n",
            b"NOOP\n",
            b"x" * 60 + b"\r\n",
            b"one\r\n.\r\n",
            b"..\r\n",
            b"\r\n.\n",
            b"\0",
        ),
        *(b"EHLO c\r\n", b"AUTH PLAIN AGFubgBzZWNyZXQ=\r\n", b"AUTH PLAIN AGFubgBndWVzcw==\r\n"),
        *(b"AUTH LOGIN\r\n", b"YW5u\r\n", b"c2VjcmV0\r\n", b"AUTH PLAIN\r\n", b"*\r\n", b"=\r\n"),
        *(
            b"BDAT 4\r\n",
            b"BDAT 0\r\n",
            b"BDAT 70 LAST\r\n",
            b"BDAT 5 LAST\r\none\r\n",
            b"BDAT\r\n",
        ),
    ]
)
MESSAGE = st.just(
    b"HELO c\r\nMAIL FROM:<ann@here.test>\r\nRCPT TO:<bob@there.test>\r\nDATA\r\nhello\r\n.\r\n"
)
TALK = st.lists(LINES | MESSAGE | st.binary(max_size=6), max_size=12).map(b"".join)
CUTS = st.lists(st.integers(min_value=0, max_value=400), max_size=12)


def talk(said: bytes, cuts: list[int]) -> tuple[bytes, list[Submission]]:
    """What the client hears until it has no more to say, and what is taken."""

    async def scene() -> tuple[bytes, list[Submission]]:
        door = FakeDoor()
        async with visiting(door, command_length=50, message_size=100) as visit:
            for begin, end in pairwise([0, *sorted(cuts), len(said)]):
                visit.session.data_received(said[begin:end])
                await asyncio.sleep(0)
            while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - messages are being taken
                await asyncio.sleep(0)
            return b"".join(visit.wire.written), door.submissions

    return run(scene())


@given(TALK, CUTS)
def test_the_pieces_do_not_matter(said: bytes, cuts: list[int]) -> None:
    cuts = [min(cut, len(said)) for cut in cuts]

    assert talk(said, cuts) == talk(said, [])
