"""HTTP itself as a weapon: framing that two servers read differently, names, and time."""

import asyncio
import logging
import re
from pathlib import Path

import pytest

from mta.model.order import Order, Receipt

from mta.edge.api import ApiLimits

from tests.edge.fake_desk import MESSAGE, PATIENCE, FakeDesk, answering
from tests.edge.fake_door import run, self_signed

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = (
    b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer t0ken\r\n"
    b"Content-Type: application/json\r\n"
)
CHUNKED = b"Transfer-Encoding: chunked\r\n"


async def codes_for(octets: bytes) -> list[bytes]:
    """The codes of all answers to some octets, until the server hangs up."""
    async with answering(FakeDesk(), limits=ApiLimits(idle_seconds=0.5)) as caller:
        reader, writer = await caller.raw()
        writer.write(octets)
        async with asyncio.timeout(PATIENCE):
            heard = await reader.read()
        writer.close()
        return re.findall(rb"^HTTP/1.[01] (\d+)", heard, re.MULTILINE)


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 4\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
        CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n",
        b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n{}  ",
        b"Content-Length: +2\r\n\r\n{}",
        b"Content-Length: 0x2\r\n\r\n{}",
        b"Content-Length: 2, 2\r\n\r\n{}",
        CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        CHUNKED + b"\r\n2\n{}\n0\n\n",
        CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n",
        CHUNKED + b"\r\n-1\r\n{}\r\n0\r\n\r\n",
        CHUNKED + b"\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        CHUNKED + b"\r\n2\r\n{}xx0\r\n\r\n",
        CHUNKED + b"\r\n0\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"X: y\r\n z\r\n\r\n",
        b"X: y\rContent-Length: 2\r\n\r\n{}",
        b"Host: evil.test\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=range(19),
)
def test_a_request_that_could_be_read_in_two_ways_is_the_last(framing: bytes) -> None:
    assert run(codes_for(POST + framing + GET)) == [b"400"]


@pytest.mark.parametrize(
    "id",
    [
        *(
            "..",
            "../../etc/passwd",
            "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
            "..%5c..%5cx",
            "%00",
            "a%00b",
        ),
        *("a%0d%0aSet-Cookie:%20x=1", "%1b[2J", "'%20OR%201=1--", "m1/..", "./m1", "M1", "%6d1"),
        *("", "a" * 5_000, "%ff%fe", "\N{RIGHT-TO-LEFT OVERRIDE}".encode().hex("%")),
    ],
)
def test_an_id_is_the_name_of_a_message_and_of_nothing_else(id: str) -> None:
    request = f"GET /v1/messages/{id} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"

    heard = run(codes_for(request.encode() + b"Authorization: Bearer t0ken\r\n\r\n"))

    assert heard in ([b"404"], [b"405"])


def test_a_header_that_trickles_is_cut_off() -> None:
    async def scene() -> bytes:
        async with answering(FakeDesk(), limits=ApiLimits(idle_seconds=0.3)) as caller:
            reader, writer = await caller.raw()
            writer.write(GET[:-2])
            left = asyncio.create_task(reader.read())
            async with asyncio.timeout(PATIENCE):
                while not left.done():
                    writer.write(b"X")
                    await asyncio.wait([left], timeout=0.05)
            writer.close()
            return b"" if left.exception() else left.result()

    assert run(scene()) == b""


async def end_of(reader: asyncio.StreamReader) -> bytes:
    """What is still said before a connection ends, whichever way it does."""
    async with asyncio.timeout(PATIENCE):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


def test_who_leaves_it_at_the_beginning_of_a_handshake_is_counted(tmp_path: Path) -> None:
    context = self_signed(tmp_path)

    async def scene() -> None:
        limits = ApiLimits(connections=3)
        async with answering(FakeDesk(), limits=limits, tls=lambda: context) as caller:
            inside = [await caller.raw() for _ in range(3)]
            reader, writer = await caller.raw()
            assert await end_of(reader) == b""
            assert not any(reader.at_eof() for reader, _ in inside)
            for _, each in [*inside, (reader, writer)]:
                each.close()

    run(scene())


class _BrokenDesk(FakeDesk):
    async def submit(self, order: Order) -> Receipt:
        del order
        raise ZeroDivisionError


def test_mistakes_of_strangers_fill_no_log_and_ours_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def scene() -> list[int]:
        async with answering(_BrokenDesk()) as caller:
            for octets in (
                b"\x1b[2J\r\n\r\n",
                GET.replace(b"GET", b"G\0T"),
                POST + CHUNKED + b"\r\nx\r\n",
            ):
                reader, writer = await caller.raw()
                writer.write(octets)
                assert b" 400 " in await end_of(reader)
                writer.close()
            told = len(caplog.records)
            assert (await caller.ask("POST", "/v1/messages", MESSAGE)).status == 500
            return [told, len(caplog.records)]

    before, after = run(scene())
    assert before <= 1  # where it listens
    assert after == before + 1
    assert "ZeroDivisionError" in caplog.text
