"""Peers that say whatever they like: always an outcome, never an exception, never without end."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.model.address import Address
from mta.model.domain import TlsDemand, TlsLevel
from mta.model.envelope import Letter, MessageId
from mta.model.outcome import Outcome, Stage, Verdict

from mta.edge.smtpclient import Login, SmtpConnector, Timeouts

from tests.edge.scripted_peer import Caller, ScriptedPeer, run

SOON = Timeouts(*(0.05,) * 10)
LETTER = Letter(
    MessageId("m1"),
    None,
    (Address("ann", "there.test"), Address("bob", "there.test")),
    b"Subject: hello\r\n\r\nhi\r\n",
)

sensible = st.sampled_from(
    [
        b"220 mx.test\r\n",
        b"250 ok\r\n",
        b"250-mx.test\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n",
        b"250-mx.test\r\n250 PIPELINING\r\n",
        b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n",
        b"250 ok\r\n550 no\r\n550 no\r\n354 go\r\n",
        b"354 go\r\n",
        b"334 \r\n",
        b"235 ok\r\n",
        b"421 bye\r\n",
        b"451 later\r\n",
        b"503 what\r\n",
        b"550-5.1.1 a\r\n",
        b"250",
    ]
)
utterances = st.lists(sensible | st.binary(max_size=60), max_size=8)
levels = st.sampled_from([TlsLevel.NONE, TlsLevel.OPPORTUNISTIC])
logins = st.sampled_from([None, Login("user", "secret", allow_plaintext=True)])


async def became(
    data: list[bytes], level: TlsLevel, login: Login | None = None
) -> tuple[Outcome, ...]:
    """What becomes of two letters for two; where there is no session, four times the reason."""

    async def script(client: Caller) -> None:
        for number, utterance in enumerate(data):
            if number and not await client.hear_some():
                return
            await client.say_raw(utterance)

    async with ScriptedPeer(script) as host:
        connector = SmtpConnector(hostname="client.test", timeouts=SOON, login=login)
        session = await connector.open(host, TlsDemand(level))
        if isinstance(session, Outcome):
            return (session,) * 4
        outcomes = await session.send(LETTER) + await session.send(LETTER)
        await session.close()
        assert not session.is_usable
        return outcomes


@settings(max_examples=60, deadline=None)
@given(utterances, levels, logins)
def test_whatever_a_peer_says_every_recipient_has_an_outcome(
    data: list[bytes], level: TlsLevel, login: Login | None
) -> None:
    outcomes = run(became(data, level, login))

    assert len(outcomes) == 4
    for outcome in outcomes:
        assert outcome.reply.text.isprintable()
        assert len(outcome.reply.text) <= 600
        assert outcome.verdict is not Verdict.DELIVERED or outcome.stage is Stage.CONTENT


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize(
    "endless", [b"2" * 8192, b"220-x\r\n" * 1000, b"220-" + b"x" * 65536, b"\r\n" * 1000]
)
@pytest.mark.parametrize("opening", [b"", b"220 mx.test\r\n"])
def test_a_reply_without_end_is_cut_off(
    opening: bytes, endless: bytes, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def script(client: Caller) -> None:
        await client.say_raw(opening)
        if opening:
            await client.hear()
        while True:
            await client.say_raw(endless)

    async def open_it() -> object:
        async with ScriptedPeer(script) as host:
            return await SmtpConnector(hostname="client.test").open(
                host, TlsDemand(TlsLevel.OPPORTUNISTIC)
            )

    outcome = run(open_it(), new_loop)

    assert isinstance(outcome, Outcome)
    assert (outcome.verdict, outcome.reply.status) == (Verdict.DEFERRED, "4.5.0")
    assert outcome.stage is (Stage.HELLO if opening else Stage.GREETING)


def test_a_long_reply_within_bounds_is_read() -> None:
    lines = [b"220-" + b"x" * 900 + b"\r\n"] * 30

    outcomes = run(became([b"".join(lines) + b"220 mx\r\n", b"550 no\r\n"], TlsLevel.NONE))

    assert outcomes[0].stage is Stage.HELLO
