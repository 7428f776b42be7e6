"""Carrying letters over an open session: content, time limits, cancellation, breakage."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.model.address import Address
from mta.model.domain import TlsDemand, TlsLevel
from mta.model.envelope import Letter, MessageId
from mta.model.outcome import Outcome, Scope, Stage, Verdict
from mta.model.request import Notice, RecipientRequest

from mta.edge.smtpclient import SmtpConnector, SmtpSession, Timeouts
from mta.edge.smtpclient.transaction import BLOCK, blocks, is_normal

from tests.edge.scripted_peer import Caller, Script, ScriptedPeer, run, until

CLEAR = TlsDemand(TlsLevel.NONE)
LARGE = 16 * 1024 * 1024  # octets: more than the kernel takes in
LETTER = Letter(
    MessageId("m1"),
    Address("sender", "client.test"),
    (Address("ann", "there.test"), Address("bob", "there.test")),
    b"Subject: hello\r\n\r\nhi\r\n",
)


@asynccontextmanager
async def session_with(
    peer: ScriptedPeer,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
) -> AsyncIterator[SmtpSession]:
    async with peer as host:
        session = await SmtpConnector(hostname="client.test", timeouts=timeouts).open(host, CLEAR)
        assert isinstance(session, SmtpSession)
        try:
            yield session
        finally:
            await session.close()


async def sent(
    script: Script,
    letter: Letter = LETTER,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
) -> tuple[Outcome, ...]:
    """What becomes of the recipients with a peer that does this after its greeting."""

    async def whole(client: Caller) -> None:
        await client.greet("PIPELINING")
        await script(client)

    async with session_with(ScriptedPeer(whole), timeouts) as session:
        outcomes = await session.send(letter)
        assert len(outcomes) == len(letter.recipients)
        return outcomes


async def take_envelope(client: Caller) -> None:
    """MAIL, two recipients and DATA, all taken."""
    await client.hear(4)
    await client.say("250 ok", "250 ok", "250 ok", "354 go ahead")


def with_content(content: bytes) -> Letter:
    return replace(LETTER, content=content)


# Content


def test_content_goes_on_the_wire_as_it_is_but_for_its_dots() -> None:
    received: list[bytes] = []

    async def script(client: Caller) -> None:
        await take_envelope(client)
        received.append(await client.hear_content())
        await client.say("250 ok")
        await client.take_leave()

    content = b".\r\n..\r\n" + b"x.y\0\xff \t\r\n.z\r\n" * 20_000

    outcomes = run(sent(script, with_content(content)))

    assert {outcome.verdict for outcome in outcomes} == {Verdict.DELIVERED}
    assert received == [b"..\r\n...\r\n" + b"x.y\0\xff \t\r\n..z\r\n" * 20_000 + b".\r\n"]


lines = st.lists(st.sampled_from([b"", b".", b"..", b"a", b".a", b"a.", b"x" * 700]), max_size=400)


@given(lines, st.booleans())
def test_every_content_comes_back_from_its_blocks(lines: list[bytes], is_ended: bool) -> None:
    content = b"\r\n".join(lines) + (b"\r\n" if is_ended else b"")

    wire = b"".join(blocks(content))

    assert wire.endswith(b".\r\n")
    text = wire.removesuffix(b".\r\n")
    assert all(line[:1] != b"." or line[:2] == b".." for line in text.split(b"\r\n"))
    plain = b"\r\n".join(line.removeprefix(b".") for line in text.split(b"\r\n"))
    assert plain == (content if content.endswith(b"\r\n") else content + b"\r\n")


@pytest.mark.parametrize("excess", [-3, -2, -1, 0, 1, 2, 3])
def test_a_dot_at_the_edge_of_a_block_is_doubled(excess: int) -> None:
    content = b"x" * (BLOCK - 2 + excess) + b"\r\n.\r\n"

    wire = b"".join(blocks(content))

    assert wire == b"x" * (BLOCK - 2 + excess) + b"\r\n..\r\n.\r\n"


def test_content_is_written_in_blocks() -> None:
    content = b"x" * (3 * BLOCK - 2) + b"\r\n"

    sizes = [len(block) for block in blocks(content)]

    assert sizes == [BLOCK, BLOCK, BLOCK + 3]


@given(st.lists(st.sampled_from([b"\r\n", b"\r\n", b"\r", b"\n", b"a", b"."]), max_size=12))
def test_content_is_normal_where_cr_and_lf_are_always_together(parts: list[bytes]) -> None:
    content = b"".join(parts)

    pairs = content.count(b"\r\n")
    expected = content.count(b"\r") == pairs == content.count(b"\n")
    assert is_normal(content) is expected
    assert is_normal(b"x" * BLOCK + content) is expected


@pytest.mark.parametrize("excess", [-1, 0, 1])
@pytest.mark.parametrize("newline", [b"\r\n", b"\r", b"\n"])
def test_a_newline_at_the_edge_of_a_block_is_seen_whole(newline: bytes, excess: int) -> None:
    content = b"x" * (BLOCK - 1 + excess) + newline + b"x" * BLOCK

    assert is_normal(content) is (newline == b"\r\n")


@pytest.mark.parametrize("content", [b"a\nb\r\n", b"a\rb\r\n", b"a\n.\nMAIL\r\n", b"a\r\n.\r"])
def test_content_that_is_not_normal_is_never_written(content: bytes) -> None:
    with pytest.raises(AssertionError):
        next(blocks(content))


def test_an_address_that_would_be_a_command_is_never_written() -> None:
    async def refuse_it() -> None:
        async def script(client: Caller) -> None:
            await client.greet()
            await client.take_leave()

        peer = ScriptedPeer(script)
        letter = replace(LETTER, recipients=(Address("a>\r\nDATA\r\n", "there.test"),))
        async with session_with(peer) as session:
            with pytest.raises(ValueError, match="without control characters"):
                await session.send(letter)
            assert session.is_usable
        assert peer.callers[0].heard == [b"EHLO client.test", b"QUIT"]

    run(refuse_it())


def test_the_null_sender_has_an_empty_path() -> None:
    heard: list[bytes] = []

    async def script(client: Caller) -> None:
        heard.append(await client.hear())
        await client.say("421 enough")

    run(sent(script, replace(LETTER, sender=None)))

    assert heard == [b"MAIL FROM:<>"]


def test_a_thousand_recipients_are_one_transaction() -> None:
    many = tuple(Address(f"user{number}", "there.test") for number in range(1000))

    async def script(client: Caller) -> None:
        await client.hear(1002)
        refusal = "550-5.1.1 " + "no " * 100
        answers = [refusal + "\r\n550 such user" if i % 2 else "250 ok" for i in range(1000)]
        await client.say("250 ok", *answers, "354 go ahead")
        await client.hear_content()
        await client.say("250 ok")
        await client.take_leave()

    outcomes = run(sent(script, replace(LETTER, recipients=many)))

    verdicts = [outcome.verdict for outcome in outcomes]
    assert verdicts == [Verdict.DELIVERED, Verdict.FAILED] * 500


def test_the_same_words_mean_what_they_mean_where_they_are_said() -> None:
    async def script(client: Caller) -> None:
        await client.hear(4)
        await client.say("250 ok", "250 ok", "550 no", "354 go ahead")
        await client.hear_content()
        await client.say("550 no")
        await client.take_leave()

    outcomes = run(sent(script))

    assert [(o.stage, o.scope) for o in outcomes] == [
        (Stage.CONTENT, Scope.MESSAGE),
        (Stage.RECIPIENT, Scope.RECIPIENT),
    ]


def test_recipients_that_hear_the_same_share_an_outcome() -> None:
    async def script(client: Caller) -> None:
        await client.hear(4)
        await client.say("250 ok", "550 no such user", "550 no such user", "503 what?")
        await client.hear()
        await client.say("250 ok")
        await client.take_leave()

    ann, bob = run(sent(script))

    assert (ann.verdict, ann.scope) == (Verdict.FAILED, Scope.RECIPIENT)
    assert ann is bob


def test_many_letters_go_over_one_session() -> None:
    async def script(client: Caller) -> None:
        await client.greet("PIPELINING")
        for _ in range(50):
            await take_envelope(client)
            await client.hear_content()
            await client.say("250 ok")
        await client.take_leave()

    async def carry() -> set[Verdict]:
        async with session_with(ScriptedPeer(script)) as session:
            return {o.verdict for _ in range(50) for o in await session.send(LETTER)}

    assert run(carry()) == {Verdict.DELIVERED}


# Time limits


async def after_nothing(client: Caller) -> None:
    await client.hear_end()


async def after_mail(client: Caller) -> None:
    await client.hear(4)
    await client.say("250 ok")
    await client.hear_end()


async def after_recipients(client: Caller) -> None:
    await client.hear(4)
    await client.say("250 ok", "250 ok", "250 ok")
    await client.hear_end()


async def after_content(client: Caller) -> None:
    await take_envelope(client)
    await client.hear_content()
    await client.hear_end()


async def amid_the_last_reply(client: Caller) -> None:
    await take_envelope(client)
    await client.hear_content()
    await client.say_raw(b"250-ok\r\n250 o")
    await client.hear_end()


async def drop_by_drop(client: Caller) -> None:
    """A reply that never ends, without a pause that any limit between two bytes would notice."""
    await client.hear(4)
    while True:
        await client.say_raw(b"250-x\r\n")
        await asyncio.sleep(0.01)


SILENCES = [
    (after_nothing, Timeouts(mail=0.1), Stage.SENDER),
    (drop_by_drop, Timeouts(mail=0.1), Stage.SENDER),
    (after_mail, Timeouts(rcpt=0.1), Stage.RECIPIENT),
    (after_recipients, Timeouts(data=0.1), Stage.CONTENT),
    (after_content, Timeouts(final_dot=0.1), Stage.CONTENT),
    (amid_the_last_reply, Timeouts(final_dot=0.1), Stage.CONTENT),
]


@pytest.mark.parametrize(("script", "timeouts", "stage"), SILENCES)
def test_each_stage_has_its_time_limit(script: Script, timeouts: Timeouts, stage: Stage) -> None:
    outcomes = run(sent(script, timeouts=timeouts))

    assert {(o.verdict, o.stage, o.scope, o.reply.status, o.reply.text) for o in outcomes} == {
        (Verdict.DEFERRED, stage, Scope.HOST, "4.4.2", "the peer gave no reply within 0.1 seconds")
    }


@pytest.mark.parametrize(("script", "timeouts", "stage"), SILENCES)
def test_only_silence_after_the_final_dot_may_mean_arrival(
    script: Script, timeouts: Timeouts, stage: Stage
) -> None:
    outcomes = run(sent(script, timeouts=timeouts))

    was_complete = script in (after_content, amid_the_last_reply)
    assert {outcome.may_have_arrived for outcome in outcomes} == {was_complete}


def test_a_time_limit_that_was_kept_does_not_count_later() -> None:
    async def script(client: Caller) -> None:
        await client.greet("PIPELINING")
        await take_envelope(client)
        await client.hear_content()
        await client.say("250 ok")
        await client.take_leave()

    async def carry() -> bool:
        async with session_with(ScriptedPeer(script), Timeouts(*(1.0,) * 10)) as session:
            await session.send(LETTER)
            await asyncio.sleep(1.1)
            return session.is_usable

    assert run(carry())


def test_a_limit_bounds_each_reply_of_a_group_and_not_the_group() -> None:
    async def script(client: Caller) -> None:
        await client.hear(4)
        for reply in ("250 ok", "250 ok", "250 ok", "354 go ahead"):
            await asyncio.sleep(0.2)
            await client.say(reply)
        await client.hear_content()
        await client.say("250 ok")
        await client.take_leave()

    outcomes = run(sent(script, timeouts=Timeouts(mail=0.6, rcpt=0.6, data=0.6)))

    assert {outcome.verdict for outcome in outcomes} == {Verdict.DELIVERED}


def test_who_was_answered_before_the_silence_has_that_answer() -> None:
    async def script(client: Caller) -> None:
        await client.hear(4)
        await client.say("250 ok", "550 5.1.1 no such user")
        await client.hear_end()

    outcomes = run(sent(script, timeouts=Timeouts(rcpt=0.1)))

    assert [(o.verdict, str(o.reply)) for o in outcomes] == [
        (Verdict.FAILED, "550 5.1.1 no such user"),
        (Verdict.DEFERRED, "451 4.4.2 the peer gave no reply within 0.1 seconds"),
    ]


@pytest.mark.parametrize(
    ("timeouts", "says", "stage"),
    [
        (Timeouts(greeting=0.1), b"", Stage.GREETING),
        (Timeouts(greeting=0.1), b"220-mx", Stage.GREETING),
        (Timeouts(hello=0.1), b"220 mx.test\r\n", Stage.HELLO),
    ],
)
def test_opening_has_its_time_limits(timeouts: Timeouts, says: bytes, stage: Stage) -> None:
    async def script(client: Caller) -> None:
        await client.say_raw(says)
        await client.hear_end()

    async def open_it() -> SmtpSession | Outcome:
        async with ScriptedPeer(script) as host:
            return await SmtpConnector(hostname="client.test", timeouts=timeouts).open(host, CLEAR)

    outcome = run(open_it())

    assert isinstance(outcome, Outcome)
    assert (outcome.verdict, outcome.stage) == (Verdict.DEFERRED, stage)


def test_a_peer_that_takes_no_content_has_its_time_limit() -> None:
    has_ended = asyncio.Event()

    async def script(client: Caller) -> None:
        await take_envelope(client)
        await has_ended.wait()

    outcome = run(sent_while(has_ended, script, Timeouts(block=0.1)))[0]

    assert outcome.reply.text == "the peer took nothing within 0.1 seconds"
    assert (outcome.verdict, outcome.stage) == (Verdict.DEFERRED, Stage.CONTENT)
    assert not outcome.may_have_arrived


async def sent_while(
    has_ended: asyncio.Event, script: Script, timeouts: Timeouts
) -> tuple[Outcome, ...]:
    """Send what is too large to be taken unread, and set the event when that has ended."""

    async def whole(client: Caller) -> None:
        await client.greet("PIPELINING")
        await script(client)

    async with session_with(ScriptedPeer(whole), timeouts) as session:
        try:
            outcomes = await session.send(with_content(b"x" * LARGE + b"\r\n"))
        finally:
            has_ended.set()
        assert not session.is_usable
        return outcomes


def test_close_waits_for_quit_within_its_limit() -> None:
    async def script(client: Caller) -> None:
        await client.greet()
        await client.hear_end()

    async def close() -> bool:
        peer = ScriptedPeer(script)
        async with session_with(peer, Timeouts(quit=0.1)) as session:
            await session.close()
            await session.close()
            return session.is_usable

    assert run(close()) is False


# Peers that speak, or leave, out of turn


@pytest.mark.parametrize(
    ("reply", "verdict", "shown"),
    [
        ("552 5.3.4 too large", Verdict.FAILED, "552 5.3.4 too large"),
        ("451 4.3.0 enough", Verdict.DEFERRED, "451 4.3.0 enough"),
        ("421 4.3.0 closing", Verdict.DEFERRED, "421 4.3.0 closing"),
        ("250 ok", Verdict.DEFERRED, "451 4.5.0 the reply is out of place: 250 ok"),
    ],
)
def test_a_reply_amid_the_content_ends_it(reply: str, verdict: Verdict, shown: str) -> None:
    has_ended = asyncio.Event()

    async def script(client: Caller) -> None:
        await take_envelope(client)
        await client.hear_some()
        await client.say(reply)
        await has_ended.wait()

    outcomes = run(sent_while(has_ended, script, Timeouts()))

    assert {(o.verdict, str(o.reply), o.stage) for o in outcomes} == {
        (verdict, shown, Stage.CONTENT)
    }
    assert not any(outcome.may_have_arrived for outcome in outcomes)


def test_the_words_of_a_peer_that_closes_amid_the_content_are_read() -> None:
    has_ended = asyncio.Event()

    async def script(client: Caller) -> None:
        await take_envelope(client)
        await client.hear_some()
        await client.say("552 5.3.4 too large")
        client.stop_speaking()
        await has_ended.wait()

    outcomes = run(sent_while(has_ended, script, Timeouts()))

    assert {str(outcome.reply) for outcome in outcomes} == {"552 5.3.4 too large"}


def test_a_connection_that_breaks_amid_the_content_brought_nothing() -> None:
    async def script(client: Caller) -> None:
        await take_envelope(client)
        await client.hear_some()
        client.reset()

    outcomes = run(sent_while(asyncio.Event(), script, Timeouts()))

    assert {(o.verdict, o.stage, o.may_have_arrived) for o in outcomes} == {
        (Verdict.DEFERRED, Stage.CONTENT, False)
    }


def test_a_connection_that_is_reset_after_the_final_dot_may_have_brought_it() -> None:
    async def script(client: Caller) -> None:
        await take_envelope(client)
        await client.hear_content()
        client.reset()

    outcomes = run(sent(script))

    assert {(o.verdict, o.stage, o.may_have_arrived) for o in outcomes} == {
        (Verdict.DEFERRED, Stage.CONTENT, True)
    }


async def taking_one_letter(client: Caller) -> None:
    await client.greet("PIPELINING")
    await take_envelope(client)
    await client.hear_content()
    await client.say("250 ok")


async def and_closing(client: Caller) -> None:
    await taking_one_letter(client)


async def and_saying_421(client: Caller) -> None:
    await taking_one_letter(client)
    await client.say("421 4.4.2 idle for too long")
    await client.hear_end()


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (and_closing, "the peer closed the connection"),
        (and_saying_421, "the peer spoke unasked: 421 4.4.2 idle for too long"),
    ],
)
def test_a_session_that_ended_while_idle_is_not_usable(script: Script, text: str) -> None:
    async def carry_twice() -> tuple[Outcome, ...]:
        async with session_with(ScriptedPeer(script)) as session:
            await session.send(LETTER)
            await until(lambda: not session.is_usable)
            return await session.send(LETTER)

    outcomes = run(carry_twice())

    assert {(o.verdict, o.stage, o.scope, o.reply.text) for o in outcomes} == {
        (Verdict.DEFERRED, Stage.SENDER, Scope.HOST, text)
    }


def test_a_session_that_was_closed_carries_nothing() -> None:
    async def script(client: Caller) -> None:
        await client.greet()
        await client.take_leave()

    async def send_late() -> tuple[Outcome, ...]:
        async with session_with(ScriptedPeer(script)) as session:
            await session.close()
            return await session.send(LETTER)

    outcomes = run(send_late())

    assert [outcome.verdict for outcome in outcomes] == [Verdict.DEFERRED] * 2


# Cancellation


def test_cancellation_after_the_final_dot_waits_for_the_reply() -> None:
    is_complete, may_reply = asyncio.Event(), asyncio.Event()

    async def script(client: Caller) -> None:
        await client.greet("PIPELINING")
        await take_envelope(client)
        await client.hear_content()
        is_complete.set()
        await may_reply.wait()
        await client.say("250 2.0.0 taken")
        await client.take_leave()

    async def cancel() -> tuple[tuple[Outcome, ...], int, bool]:
        async with session_with(ScriptedPeer(script)) as session:
            sending = asyncio.create_task(session.send(LETTER))
            await is_complete.wait()
            for _ in range(3):
                sending.cancel()
                await asyncio.sleep(0)
            may_reply.set()
            return await sending, sending.cancelling(), session.is_usable

    outcomes, cancellations, is_usable = run(cancel())

    assert [outcome.verdict for outcome in outcomes] == [Verdict.DELIVERED] * 2
    assert cancellations == 3
    assert is_usable


def test_cancellation_after_the_final_dot_waits_no_longer_than_its_limit() -> None:
    is_complete = asyncio.Event()

    async def script(client: Caller) -> None:
        await client.greet("PIPELINING")
        await take_envelope(client)
        await client.hear_content()
        is_complete.set()
        await client.hear_end()

    async def cancel() -> tuple[Outcome, ...]:
        async with session_with(ScriptedPeer(script), Timeouts(final_dot=0.2)) as session:
            sending = asyncio.create_task(session.send(LETTER))
            await is_complete.wait()
            sending.cancel()
            return await sending

    outcomes = run(cancel())

    assert {outcome.may_have_arrived for outcome in outcomes} == {True}


def test_cancellation_before_the_final_dot_ends_the_session() -> None:
    is_heard = asyncio.Event()

    async def script(client: Caller) -> None:
        await client.greet("PIPELINING")
        await client.hear(4)
        is_heard.set()
        assert await client.hear() == b""  # neither content nor QUIT

    async def cancel() -> bool:
        async with session_with(ScriptedPeer(script)) as session:
            sending = asyncio.create_task(session.send(LETTER))
            await is_heard.wait()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            return session.is_usable

    assert run(cancel()) is False


@pytest.mark.parametrize("is_early", [True, False])
def test_cancellation_when_wishes_were_refused_loses_nothing_of_the_others(is_early: bool) -> None:
    may_reply, is_heard = asyncio.Event(), asyncio.Event()

    async def script(client: Caller) -> None:
        await client.greet("PIPELINING", "DSN")
        await client.hear(4)
        await client.say("250 ok", "555 what is NOTIFY?", "250 ok", "354 go ahead")
        await client.hear_content()
        if is_early:
            is_heard.set()
            await may_reply.wait()
            await client.say("250 taken")
            await client.take_leave()
        else:
            await client.say("250 taken")
            await client.hear(3)  # the other transaction
            is_heard.set()
            assert await client.hear() == b""

    async def cancel() -> tuple[tuple[Outcome, ...], int]:
        wish = RecipientRequest(frozenset({Notice.NEVER}))
        async with session_with(ScriptedPeer(script)) as session:
            sending = asyncio.create_task(session.send(replace(LETTER, requests=(wish, wish))))
            await is_heard.wait()
            sending.cancel()
            await asyncio.sleep(0)
            may_reply.set()
            return await sending, sending.cancelling()

    outcomes, cancellations = run(cancel())

    assert [outcome.verdict for outcome in outcomes] == [Verdict.DEFERRED, Verdict.DELIVERED]
    assert cancellations == 1
