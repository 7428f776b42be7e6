"""Our own client, against a sink of ours."""

import asyncio

import pytest

from tests.bench.session import Refused, Session
from tests.bench.sinks import Exchanger

LETTER = b"Subject: Hi\r\n\r\n.a dot\r\n"


def test_a_session_sends_message_after_message() -> None:
    async def send(port: int) -> str:
        session = await Session.open(port)
        await session.send("a@b.test", ["x@there.test", "y@there.test"], LETTER)
        text = await session.send("a@b.test", ["x@there.test"], LETTER)
        await session.close()
        return text

    with Exchanger() as sink:
        assert asyncio.run(send(sink.port)) == "2.0.0 OK"

        tally = sink.wait_for(20, recipients=3)

    assert tally.messages == 2


def test_a_refusal_is_raised_with_its_code() -> None:
    async def send(port: int) -> None:
        session = await Session.open(port)
        try:
            await session.send("a@b.test", ["x@there.test"], LETTER)
        finally:
            session.abort()

    with Exchanger() as sink:
        sink.say("refuse")

        with pytest.raises(Refused, match=r"450 4\.2\.0"):
            asyncio.run(send(sink.port))
