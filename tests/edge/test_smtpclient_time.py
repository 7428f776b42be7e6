"""The time that a whole message may take, and a deadline that passes on the way."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from mta.model.domain import Host, TlsDemand, TlsLevel
from mta.model.outcome import Outcome, Stage, Verdict
from mta.model.request import Deadline, Late, MessageRequest

from mta.edge.smtpclient import SmtpConnector, SmtpSession, Timeouts

from tests.edge.scripted_peer import (
    Caller,
    Script,
    ScriptedPeer,
    certificate,
    run,
    server_context,
)
from tests.edge.test_smtpclient import Loop, both_loops
from tests.edge.test_smtpclient_session import LARGE, LETTER, sent, take_envelope, with_content

BY = 1_000.0  # the deadline, Unix seconds
OVER = "the time that its sender gave it is over"


class Clock:
    def __init__(self) -> None:
        self.now = BY - 1

    def __call__(self) -> float:
        return self.now


async def sent_by(
    script: Script, clock: Clock, if_late: Late = Late.DROP, *extensions: str, content: bytes = b""
) -> tuple[tuple[Outcome, ...], bool]:
    """What becomes of a message with a deadline; and whether its session can go on."""

    async def whole(client: Caller) -> None:
        await client.greet(*extensions)
        await script(client)

    request = MessageRequest(deadline=Deadline(BY, if_late))
    letter = replace(LETTER, request=request, content=content or LETTER.content)
    async with ScriptedPeer(whole) as host:
        session = await opened(host, clock)
        outcomes = await session.send(letter)
        is_usable = session.is_usable
        await session.close()
    return outcomes, is_usable


async def opened(host: Host, clock: Clock, level: TlsLevel = TlsLevel.NONE) -> SmtpSession:
    connector = SmtpConnector(hostname="client.test", clock=clock)
    session = await connector.open(host, TlsDemand(level))
    assert isinstance(session, SmtpSession)
    return session


# The whole of a message


def test_a_peer_that_dribbles_holds_a_connection_for_so_long_and_no_longer() -> None:
    async def script(client: Caller) -> None:
        await client.hear(4)
        for _ in range(4):
            await asyncio.sleep(0.2)  # each reply is in time
            await client.say("250 ok")

    timeouts = Timeouts(transaction=0.5)

    outcomes = run(sent(script, timeouts=timeouts))

    assert {outcome.verdict for outcome in outcomes} == {Verdict.DEFERRED}
    assert not outcomes[0].may_have_arrived
    assert "took longer than 0.5 seconds for one message" in outcomes[0].reply.text


def test_a_peer_that_takes_the_content_by_the_spoon_does_not_either() -> None:
    async def script(client: Caller) -> None:
        await take_envelope(client)
        for _ in range(100):
            await client.hear_some()
            await asyncio.sleep(0.02)

    content = (b"x" * 998 + b"\r\n") * (LARGE // 1000)

    outcomes = run(sent(script, with_content(content), Timeouts(transaction=0.5)))

    assert outcomes[0].stage is Stage.CONTENT
    assert not outcomes[0].may_have_arrived
    assert "for one message" in outcomes[0].reply.text


def test_the_last_reply_has_its_own_time() -> None:
    async def script(client: Caller) -> None:
        await take_envelope(client)
        await client.hear_content()
        await asyncio.sleep(0.6)
        await client.say("250 ok")
        await client.take_leave()

    outcomes = run(sent(script, timeouts=Timeouts(transaction=0.5)))

    assert {outcome.verdict for outcome in outcomes} == {Verdict.DELIVERED}


# A deadline


@pytest.mark.parametrize("if_late", [Late.DROP, Late.FAIL])
def test_a_message_that_is_in_time_goes_as_any_other(if_late: Late) -> None:
    async def script(client: Caller) -> None:
        await take_envelope(client)
        await client.hear_content()
        await client.say("250 ok")
        await client.take_leave()

    outcomes, is_usable = run(sent_by(script, Clock(), if_late, "PIPELINING"))

    assert {outcome.verdict for outcome in outcomes} == {Verdict.DELIVERED}
    assert is_usable


def test_a_message_whose_time_is_over_is_not_offered() -> None:
    clock = Clock()
    clock.now = BY

    outcomes, is_usable = run(sent_by(Caller.take_leave, clock))

    assert [str(outcome.reply) for outcome in outcomes] == [f"550 5.4.7 {OVER}"] * 2
    assert is_usable  # for other mail


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
def test_a_peer_that_takes_its_time_over_the_envelope_gets_no_content(
    extensions: tuple[str, ...],
) -> None:
    clock = Clock()
    heard: list[bytes] = []

    async def script(client: Caller) -> None:
        if extensions:
            await client.hear(4)
            clock.now = BY
            await client.say("250 ok", "250 ok", "250 ok", "354 go ahead")
        else:
            for _ in range(3):
                await client.hear()
                clock.now = BY
                await client.say("250 ok")
        heard.append(await client.hear())

    outcomes, is_usable = run(sent_by(script, clock, Late.DROP, *extensions))

    assert outcomes[0].verdict is Verdict.DEFERRED
    assert outcomes[0].reply.text == OVER
    assert not outcomes[0].may_have_arrived
    assert not is_usable
    assert heard == [b""]


def test_a_peer_that_takes_its_time_over_the_content_gets_no_final_dot() -> None:
    clock = Clock()
    taken = bytearray()

    async def script(client: Caller) -> None:
        await take_envelope(client)
        await asyncio.sleep(0.1)  # all buffers are full by now
        clock.now = BY
        while data := await client.hear_some():
            taken.extend(data)

    content = (b"x" * 998 + b"\r\n") * (LARGE // 1000)

    outcomes, _ = run(sent_by(script, clock, Late.FAIL, "PIPELINING", content=content))

    assert outcomes[0].reply.text == OVER
    assert not outcomes[0].may_have_arrived
    assert not taken.endswith(b"\r\n.\r\n")


def test_what_is_to_be_delivered_all_the_same_goes_when_it_is_late() -> None:
    clock = Clock()

    async def script(client: Caller) -> None:
        await client.hear(4)
        clock.now = BY + 60
        await client.say("250 ok", "250 ok", "250 ok", "354 go ahead")
        await client.hear_content()
        await client.say("250 ok")
        await client.take_leave()

    outcomes, _ = run(sent_by(script, clock, Late.NOTIFY, "PIPELINING"))

    assert {outcome.verdict for outcome in outcomes} == {Verdict.DELIVERED}


@both_loops
@pytest.mark.parametrize("size", [100, 1_000_000])
def test_a_message_in_time_goes_over_tls_too(tmp_path: Path, new_loop: Loop, size: int) -> None:
    context = server_context(certificate(tmp_path, "mx.test"))

    async def script(client: Caller) -> None:
        await client.greet("STARTTLS")
        await client.hear()
        await client.say("220 go ahead")
        await client.start_tls(context)
        await client.answer_hello("PIPELINING")
        await take_envelope(client)
        await client.hear_content()
        await client.say("250 ok")
        await client.take_leave()

    async def scene() -> tuple[Outcome, ...]:
        request = MessageRequest(deadline=Deadline(BY, Late.DROP))
        content = b"a line\r\n" * (size // 8)
        async with ScriptedPeer(script) as host:
            session = await opened(host, Clock(), TlsLevel.OPPORTUNISTIC)
            async with asyncio.timeout(5):
                outcomes = await session.send(replace(LETTER, request=request, content=content))
            await session.close()
        return outcomes

    outcomes = run(scene(), new_loop)

    assert {outcome.verdict for outcome in outcomes} == {Verdict.DELIVERED}
    assert outcomes[0].tls is not None
