"""One connection whose peer is the test: what is heard of a group of replies, and when."""

import asyncio
import gc
import weakref
from collections.abc import Callable

import pytest

from mta.edge.smtpclient.replies import RawReply
from mta.edge.smtpclient.wire import ConversationError, Wire

from tests.edge.scripted_peer import run

TAKEN = b"250 2.1.0 ok\r\n250-a\r\n250 b\r\n250 ok\r\n354 go\r\n"
LONG = (1000.0,) * 4


class Line(asyncio.Transport):
    """A transport that leads nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True


def wire_that_asked(replies: int) -> Wire:
    """A wire with so many replies outstanding."""
    wire = Wire(0)
    wire.connection_made(Line())
    wire.say(b"NOOP\r\n" * replies, replies)
    return wire


async def turn() -> None:
    """Let everybody do what can be done now."""
    for _ in range(5):
        await asyncio.sleep(0)


async def done_after(wire: Wire, limits: tuple[float, ...], *pieces: bytes) -> list[bool]:
    """Whether a wait for so many replies had ended, after each piece that came."""
    waiting = asyncio.create_task(wire.gather(limits))
    await turn()
    ended = []
    for piece in pieces:
        wire.data_received(piece)
        await turn()
        ended.append(waiting.done())
    waiting.cancel()
    await turn()
    return ended


@pytest.mark.parametrize("cut", range(1, len(TAKEN)))
def test_replies_that_come_in_two_pieces_are_heard_as_one(cut: int) -> None:
    async def hear() -> None:
        wire = wire_that_asked(4)

        assert await done_after(wire, LONG, TAKEN[:cut], TAKEN[cut:]) == [False, True]
        assert wire.has_heard_envelope(4)
        assert wire.is_in_step

    run(hear())


def test_replies_that_come_byte_by_byte_are_heard_as_one() -> None:
    async def hear() -> None:
        wire = wire_that_asked(4)
        pieces = [bytes([byte]) for byte in TAKEN]

        ended = await done_after(wire, LONG, *pieces)

        assert ended == [False] * (len(TAKEN) - 1) + [True]
        assert wire.has_heard_envelope(4)

    run(hear())


@pytest.mark.parametrize("reply", [b"421 bye\r\n", b"550 no\r\n", b"354 go\r\n"])
def test_a_reply_that_is_not_positive_may_be_the_last(reply: bytes) -> None:
    async def hear() -> None:
        wire = wire_that_asked(4)

        assert await done_after(wire, LONG, b"250 ok\r\n", reply) == [False, True]
        assert not wire.has_heard_envelope(4)
        assert await wire.reply(1000) == RawReply(250, (b"ok",))
        assert (await wire.reply(1000)).code == int(reply[:3])

    run(hear())


@pytest.mark.parametrize(
    "heard",
    [
        b"250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n",
        b"250 ok\r\n250 ok\r\n354 go\r\n354 go\r\n",
        b"250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n",
        b"250 ok\r\n250 ok\r\n250 ok\r\n550 no\r\n",
    ],
)
def test_an_envelope_that_was_not_taken_whole_is_heard_reply_by_reply(heard: bytes) -> None:
    async def hear() -> None:
        wire = wire_that_asked(4)
        await done_after(wire, LONG, heard)

        assert not wire.has_heard_envelope(4)
        codes = [(await wire.reply(1000)).code for _ in range(4)]

        assert codes == [int(line[:3]) for line in heard.splitlines()]

    run(hear())


def test_room_to_write_is_no_reply() -> None:
    async def hear() -> None:
        wire = wire_that_asked(1)
        waiting = asyncio.create_task(wire.reply(1000))
        await turn()

        wire.pause_writing()
        wire.resume_writing()
        await turn()
        was_done = waiting.done()
        wire.data_received(b"250 ok\r\n")

        assert not was_done
        assert (await waiting).code == 250

    run(hear())


def test_more_replies_than_were_asked_for_end_the_talk() -> None:
    async def hear() -> None:
        wire = wire_that_asked(2)

        assert await done_after(wire, (1000.0, 1000.0), b"250 ok\r\n354 go\r\n250 more\r\n") == [
            True
        ]
        assert wire.has_heard_envelope(2)
        assert not wire.is_in_step
        with pytest.raises(ConversationError, match="the peer spoke unasked: 250 more"):
            wire.say(b"NOOP\r\n")

    run(hear())


def test_what_is_no_reply_is_told_behind_the_replies_before_it() -> None:
    async def hear() -> None:
        wire = wire_that_asked(4)

        assert await done_after(wire, LONG, b"250 ok\r\n250 ok\r\nwhat?\r\n") == [True]
        assert [(await wire.reply(1000)).code for _ in range(2)] == [250, 250]
        with pytest.raises(ConversationError, match="expected an SMTP reply"):
            await wire.reply(1000)

    run(hear())


@pytest.mark.parametrize(
    ("limits", "pieces", "heard"),
    [
        ((0.05, 1000.0, 1000.0), (), 0),
        ((1000.0, 0.05, 1000.0), (b"250 ok\r\n",), 1),
        ((1000.0, 1000.0, 0.05), (b"250 ok\r\n250", b" ok\r\n35"), 2),
        ((1000.0, 1000.0, 0.05), (b"250 ok\r\n", b"250 ok\r\n", b"354"), 2),
    ],
)
def test_each_reply_of_a_group_has_its_own_limit(
    limits: tuple[float, ...], pieces: tuple[bytes, ...], heard: int
) -> None:
    async def wait() -> None:
        wire = wire_that_asked(3)
        waiting = asyncio.create_task(wire.gather(limits))
        for piece in pieces:
            await turn()
            wire.data_received(piece)

        await waiting

        for _ in range(heard):
            assert (await wire.reply(0)).code == 250
        with pytest.raises(ConversationError, match=r"gave no reply within 0\.05 seconds"):
            await wire.reply(1000)

    run(wait())


def test_a_wait_that_was_cancelled_leaves_no_limit() -> None:
    async def wait() -> None:
        wire = wire_that_asked(1)
        waiting = asyncio.create_task(wire.gather((0.05,)))
        await turn()
        waiting.cancel()
        await asyncio.sleep(0.1)

        wire.data_received(b"250 ok\r\n")

        assert (await wire.reply(0)).code == 250

    run(wait())


def lost(wire: Wire) -> None:
    wire.connection_lost(None)


def aborted(wire: Wire) -> None:
    wire.abort()
    wire.connection_lost(None)


@pytest.mark.parametrize("end", [lost, aborted])
def test_no_timer_outlives_the_connection(end: Callable[[Wire], None]) -> None:
    async def leave() -> None:
        wire = wire_that_asked(1)
        await done_after(wire, (1000.0,))
        assert wire._watch._timer is not None

        end(wire)
        await wire.hang_up(1000)
        with pytest.raises(ConversationError):
            await wire.reply(1000)
        with pytest.raises(ConversationError):
            await wire.last_word(1000)

        assert wire._watch._timer is None

    run(leave())


def test_a_connection_that_has_ended_is_gone_at_once() -> None:
    async def leave() -> None:
        wire = wire_that_asked(1)
        await done_after(wire, (1000.0,), b"250 ok\r\n")
        lost(wire)
        left = weakref.ref(wire)

        gc.disable()  # nobody is to search for it
        try:
            del wire
            assert left() is None
        finally:
            gc.enable()

    run(leave())
