"""The door in time and number: who is let in, for how long, and how everybody is seen out."""

import asyncio
import logging
import socket
import ssl
import warnings
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

import pytest

from mta.model.listener import Auth, Endpoint, Listener, TlsStart

from mta.edge.submission import (
    Door,
    ListenError,
    SessionLimits,
    SubmissionServer,
)
from mta.edge.submission.session import Session

from tests.edge.fake_door import (
    LOOPS,
    PATIENCE,
    FakeDoor,
    FakeLogins,
    Talker,
    run,
    self_signed,
    serving,
    talking,
    trusting_anybody,
)

LOOPBACK = [Listener(Endpoint("127.0.0.1", 0))]
each_loop = pytest.mark.parametrize("loop", LOOPS)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return self_signed(tmp_path_factory.mktemp("tls"))


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


async def only_session(server: SubmissionServer) -> Session:
    await until(lambda: len(server._sessions) == 1)
    return next(iter(server._sessions))


def test_the_fake_is_a_door() -> None:
    door: Door = FakeDoor()

    assert door is not None


# Who is let in


@each_loop
def test_port_0_is_a_free_port_and_says_which(loop: str) -> None:
    async def scene() -> list[bytes]:
        listeners = [*LOOPBACK, *LOOPBACK]
        async with serving(FakeDoor(), listeners=listeners) as server:
            greetings = []
            for host, port in server.addresses:
                reader, writer = await asyncio.open_connection(host, port)
                greetings.append(await reader.readline())
                writer.close()
                await writer.wait_closed()
            return greetings

    assert run(scene(), loop) == [b"220 mail.test ESMTP mta\r\n"] * 2


@pytest.mark.skipif(not socket.has_ipv6, reason="IPv6 is not built in")
def test_it_listens_on_ipv6_and_knows_its_clients_there() -> None:
    async def scene() -> str:
        door = FakeDoor()
        async with (
            serving(door, listeners=[Listener(Endpoint("::1", 0))]) as server,
            talking(server) as talker,
        ):
            await talker.begin()
            await talker.ask(b"one", b".")
        return door.submissions[0].client.address

    try:
        assert run(scene()) == "::1"
    except ListenError:
        pytest.skip("this machine has no ::1")


def test_clients_from_elsewhere_are_refused_before_the_greeting() -> None:
    async def scene() -> bytes:
        elsewhere = Listener(Endpoint("127.0.0.1", 0), networks=(ip_network("192.0.2.0/24"),))
        async with serving(FakeDoor(), listeners=[elsewhere]) as server, talking(server) as talker:
            return await talker.hear_all()

    assert run(scene()) == b"554 5.7.1 Not from your address\r\n"


@pytest.mark.parametrize(
    ("limits", "refusal"),
    [
        (SessionLimits(connections=2), b"421 4.3.2 Too many connections"),
        (
            SessionLimits(connections_per_client=2),
            b"421 4.7.0 Too many connections from your address",
        ),
    ],
)
def test_no_more_are_let_in_than_may_be_and_who_goes_makes_room(
    limits: SessionLimits, refusal: bytes
) -> None:
    async def scene() -> list[bytes]:
        async with (
            serving(FakeDoor(), listeners=LOOPBACK, limits=limits) as server,
            talking(server) as first,
            talking(server) as second,
        ):
            heard = [await first.hear(), await second.hear()]
            async with talking(server) as third:
                heard.append(await third.hear_all())
            await first.ask(b"QUIT")
            await first.close()
            await until(lambda: len(server._sessions) == 1)
            async with talking(server) as fourth:
                heard.append(await fourth.hear())
            return heard

    greeting = b"220 mail.test ESMTP mta"
    assert run(scene()) == [greeting, greeting, refusal + b"\r\n", greeting]


@each_loop
def test_clients_of_implicit_tls_are_counted_before_they_shake_hands(
    loop: str, context: ssl.SSLContext
) -> None:
    async def greeting(server: SubmissionServer) -> bytes:
        async with talking(server, context=trusting_anybody()) as talker:
            return await talker.hear()

    async def scene() -> bytes:
        limits = SessionLimits(connections=1)
        listener = Listener(Endpoint("127.0.0.1", 0), tls=TlsStart.IMPLICIT)
        async with serving(FakeDoor(), listeners=[listener], tls=context, limits=limits) as server:
            async with talking(server) as stalling:
                await until(lambda: server._clients.total() == 1)
                with pytest.raises(ConnectionError):
                    await greeting(server)
                stalling.hang_up()
            await until(lambda: not server._clients)
            return await greeting(server)

    assert run(scene(), loop) == b"220 mail.test ESMTP mta"


def test_a_name_stands_for_every_address_of_it_that_the_machine_has() -> None:
    async def scene() -> set[str]:
        async with serving(FakeDoor(), listeners=[Listener(Endpoint("localhost", 0))]) as server:
            return {host for host, _ in server.addresses}

    found = run(scene())
    assert found
    assert found <= {"127.0.0.1", "::1"}


# Where it cannot listen


def start(*listeners: Listener, tls: ssl.SSLContext | None = None) -> None:
    async def scene() -> None:
        async with serving(FakeDoor(), listeners=listeners, tls=tls):
            pass

    run(scene())


def test_a_port_that_is_taken_is_named_with_the_cure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ListenError) as error:
            start(*LOOPBACK, Listener(Endpoint("127.0.0.1", port)))

    assert str(error.value) == (
        f"127.0.0.1:{port}: cannot listen: another program listens there; "
        "stop it, or choose another port"
    )


def test_an_address_that_is_not_ours_is_named_with_the_cure() -> None:
    with pytest.raises(ListenError, match=r"^192\.0\.2\.1:25: .* no such address; choose one"):
        start(Listener(Endpoint("192.0.2.1", 25)))


def test_a_name_that_nobody_knows_is_named() -> None:
    with pytest.raises(ListenError, match=r"^a\.\.b:25: cannot listen"):
        start(Listener(Endpoint("a..b", 25)))


def test_implicit_tls_needs_a_certificate() -> None:
    with pytest.raises(ListenError, match=r"127\.0\.0\.1:0: expected a certificate"):
        start(Listener(Endpoint("127.0.0.1", 0), tls=TlsStart.IMPLICIT))


@pytest.mark.parametrize("tls", [TlsStart.NONE, TlsStart.IMPLICIT])
def test_where_one_listener_fails_none_listens(tls: TlsStart, context: ssl.SSLContext) -> None:
    async def scene() -> SubmissionServer:
        listeners = [
            Listener(Endpoint("127.0.0.1", 0), tls=tls),
            Listener(Endpoint("192.0.2.1", 25)),
        ]
        server = SubmissionServer(
            listeners=listeners, door=FakeDoor(), hostname="mail.test", tls=context
        )
        with pytest.raises(ListenError):
            await server.start()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*server.addresses[0])
        return server

    run(scene())


# TLS


@each_loop
def test_implicit_tls_takes_mail(loop: str, context: ssl.SSLContext) -> None:
    async def scene() -> str:
        door = FakeDoor()
        listener = Listener(Endpoint("127.0.0.1", 0), tls=TlsStart.IMPLICIT)
        async with (
            serving(door, listeners=[listener], tls=context) as server,
            talking(server, context=trusting_anybody()) as talker,
        ):
            await talker.begin()
            assert await talker.ask(b"one", b".", b"QUIT") == b"250 2.0.0 Queued as id1"
            assert await talker.hear_all() == b"221 2.0.0 Bye\r\n"
        return door.submissions[0].client.protocol

    assert run(scene(), loop) == "ESMTPS"


@each_loop
def test_many_clients_may_shake_hands_at_once(loop: str, context: ssl.SSLContext) -> None:
    async def greeting(server: SubmissionServer) -> bytes:
        async with talking(server, context=trusting_anybody()) as talker:
            return await talker.hear()

    async def scene() -> set[bytes]:
        listener = Listener(Endpoint("127.0.0.1", 0), tls=TlsStart.IMPLICIT)
        async with serving(FakeDoor(), listeners=[listener], tls=context) as server:
            return set(await asyncio.gather(*(greeting(server) for _ in range(30))))

    assert run(scene(), loop) == {b"220 mail.test ESMTP mta"}


@each_loop
def test_a_large_message_under_tls_is_whole(loop: str, context: ssl.SSLContext) -> None:
    line = b"0123456789" * 7
    message = (line + b"\r\n") * 20_000

    async def scene() -> bytes:
        door = FakeDoor()
        listener = Listener(Endpoint("127.0.0.1", 0), tls=TlsStart.STARTTLS)
        async with (
            serving(door, listeners=[listener], tls=context) as server,
            talking(server) as talker,
        ):
            await talker.hear_reply()
            await talker.ask(b"EHLO client.test")
            await talker.ask(b"STARTTLS")
            await talker.shake_hands(trusting_anybody())
            await talker.say(b"EHLO client.test", b"MAIL FROM:<>", b"RCPT TO:<bob@there.test>")
            await talker.say(b"DATA")
            for _ in range(4):
                await talker.hear_reply()
            await talker.say_raw(message)
            assert (await talker.ask(b"."))[:3] == b"250"
        return door.submissions[0].content

    assert run(scene(), loop) == message


@each_loop
@pytest.mark.parametrize("tls", [TlsStart.STARTTLS, TlsStart.IMPLICIT])
def test_a_handshake_that_fails_or_stalls_or_is_left_ends_the_session(
    tls: TlsStart, loop: str, context: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    async def at_handshake(talker: Talker) -> None:
        if tls is TlsStart.STARTTLS:
            await talker.hear_reply()
            assert await talker.ask(b"STARTTLS") == b"220 2.0.0 Ready to start TLS"

    async def scene() -> None:
        limits = SessionLimits(handshake_seconds=0.2)
        listener = Listener(Endpoint("127.0.0.1", 0), tls=tls)
        async with serving(FakeDoor(), listeners=[listener], tls=context, limits=limits) as server:
            for last_words in (b"EHLO in.clear\r\n", b"\x16\x03\x01", b""):
                async with talking(server) as talker:
                    await at_handshake(talker)
                    await talker.say_raw(last_words)
                    await hear_the_end(talker)
            async with talking(server) as talker:
                await at_handshake(talker)
                talker.hang_up()
            await until(lambda: not server._sessions)

    run(scene(), loop)

    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def hear_the_end(talker: Talker) -> None:
    with suppress(ConnectionResetError):
        await talker.hear_all()


def test_old_tls_is_refused(context: ssl.SSLContext) -> None:
    old = trusting_anybody()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1

    async def greeting(server: SubmissionServer) -> None:
        async with talking(server, context=old) as talker:
            await talker.hear()

    async def scene() -> None:
        listener = Listener(Endpoint("127.0.0.1", 0), tls=TlsStart.IMPLICIT)
        async with serving(FakeDoor(), listeners=[listener], tls=context) as server:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await greeting(server)

    run(scene())


@each_loop
def test_a_new_certificate_counts_from_the_next_handshake(
    loop: str, context: ssl.SSLContext, tmp_path: Path
) -> None:
    async def certificate(server: SubmissionServer) -> bytes | None:
        reader, writer = await asyncio.open_connection(*server.addresses[0], ssl=trusting_anybody())
        await reader.readline()
        shown: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()
        return shown

    async def scene() -> None:
        listener = Listener(Endpoint("127.0.0.1", 0), tls=TlsStart.IMPLICIT)
        async with serving(FakeDoor(), listeners=[listener], tls=context) as server:
            before = await certificate(server)
            server.replace_tls(self_signed(tmp_path))
            after = await certificate(server)
            assert None is not before != after is not None

    run(scene(), loop)


def test_starttls_is_offered_from_when_there_is_a_certificate(context: ssl.SSLContext) -> None:
    async def offers(server: SubmissionServer) -> bool:
        async with talking(server) as talker:
            await talker.say(b"EHLO c", b"QUIT")
            return b"250-STARTTLS\r\n" in await talker.hear_all()

    async def scene() -> list[bool]:
        listener = Listener(Endpoint("127.0.0.1", 0), tls=TlsStart.STARTTLS)
        async with serving(FakeDoor(), listeners=[listener]) as server:
            before = await offers(server)
            server.replace_tls(context)
            return [before, await offers(server)]

    assert run(scene()) == [False, True]


# Time


def short(**limits: float) -> SessionLimits:
    return SessionLimits(**limits)  # type: ignore[arg-type]  # whole numbers where they must be


@pytest.mark.parametrize("trickle", [b"", b"N", b"NOOP"])
def test_a_client_that_says_nothing_is_sent_away(trickle: bytes) -> None:
    async def scene() -> bytes:
        limits = short(idle_seconds=0.1)
        async with (
            serving(FakeDoor(), listeners=LOOPBACK, limits=limits) as server,
            talking(server) as talker,
        ):
            await talker.hear()
            await talker.say_raw(trickle)
            return await talker.hear_all()

    assert run(scene()) == b"421 4.4.2 Nothing came for too long\r\n"


def test_a_client_that_falls_silent_in_its_content_is_sent_away() -> None:
    async def scene() -> bytes:
        limits = short(idle_seconds=0.1)
        async with (
            serving(FakeDoor(), listeners=LOOPBACK, limits=limits) as server,
            talking(server) as talker,
        ):
            await talker.begin()
            await talker.say(b"Subject: hel")
            return await talker.hear_all()

    assert run(scene()) == b"421 4.4.2 Nothing came for too long\r\n"


ENVELOPE = b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@there.test>\r\n"


async def heard_while_trickling(talker: Talker, drop: bytes) -> bytes:
    """All that is said to a client that says a little, again and again, until it is cut off."""
    answer = asyncio.create_task(talker.hear_all())
    while not answer.done():
        with suppress(ConnectionError):
            await talker.say_raw(drop)
        await asyncio.wait([answer], timeout=0.02)
    return answer.result()


@each_loop
@pytest.mark.parametrize(
    ("beginning", "drop"),
    [
        (b"", b"x"),  # a command line without end
        (b"EHLO c\r\nAUTH PLAIN\r\n", b"x"),
        (ENVELOPE + b"DATA\r\n", b"x"),
        (ENVELOPE + b"DATA\r\n", b"x\r\n"),
        (ENVELOPE + b"BDAT 1000\r\n", b"x"),
        (ENVELOPE, b"BDAT 1\r\nx"),
    ],
)
def test_what_trickles_has_an_end_however_steadily_it_comes(
    beginning: bytes, drop: bytes, loop: str
) -> None:
    async def scene() -> list[bytes]:
        limits = short(idle_seconds=0.2, content_seconds=0.3)
        listener = Listener(Endpoint("127.0.0.1", 0), auth=Auth.OPTIONAL, plaintext_auth=True)
        async with (
            serving(FakeDoor(), listeners=[listener], limits=limits, logins=FakeLogins()) as server,
            talking(server) as talker,
        ):
            await talker.say_raw(beginning)
            return (await heard_while_trickling(talker, drop)).splitlines()

    heard = run(scene(), loop)
    assert heard[-1] == b"421 4.4.2 Nothing came for too long"
    assert b"500" not in {line[:3] for line in heard}


@each_loop
@pytest.mark.parametrize("tls", [TlsStart.STARTTLS, TlsStart.IMPLICIT])
def test_a_handshake_that_trickles_has_an_end_too(
    tls: TlsStart, loop: str, context: ssl.SSLContext
) -> None:
    async def scene() -> bytes:
        limits = SessionLimits(handshake_seconds=0.2)
        listener = Listener(Endpoint("127.0.0.1", 0), tls=tls)
        async with (
            serving(FakeDoor(), listeners=[listener], tls=context, limits=limits) as server,
            talking(server) as talker,
        ):
            if tls is TlsStart.STARTTLS:
                await talker.hear_reply()
                await talker.ask(b"STARTTLS")
            await talker.say_raw(b"\x16\x03\x01\x3f\x00")  # a record of 16 KiB
            heard = await heard_while_trickling(talker, b"\1")
            await until(lambda: not server._clients)
            return heard

    assert run(scene(), loop) == b""


def test_the_door_may_take_longer_than_a_client_may() -> None:
    async def scene() -> bytes:
        door = FakeDoor(is_shut=True)
        limits = short(idle_seconds=0.05)
        async with (
            serving(door, listeners=LOOPBACK, limits=limits) as server,
            talking(server) as talker,
        ):
            await talker.begin()
            await talker.say(b"one", b".")
            await door.knocked.wait()
            asyncio.get_running_loop().call_later(0.2, door.open)
            return await talker.hear_reply()

    assert run(scene()) == b"250 2.0.0 Queued as id1"


async def babble(deaf: socket.socket) -> None:
    """Say something for ever, and never hear."""
    async with asyncio.timeout(PATIENCE):
        while True:
            await asyncio.get_running_loop().sock_sendall(deaf, b"HELP\r\n" * 10_000)


@each_loop
def test_a_client_that_never_listens_is_hung_up_on(loop: str) -> None:
    async def scene() -> None:
        limits = short(idle_seconds=0.2, fruitless=10**9)
        async with serving(FakeDoor(), listeners=LOOPBACK, limits=limits) as server:
            deaf = socket.create_connection(server.addresses[0])
            deaf.setblocking(False)
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                await babble(deaf)
            deaf.close()
            await until(lambda: not server._sessions)

    run(scene(), loop)


@each_loop
def test_what_comes_while_a_client_is_slow_to_listen_is_heard(loop: str) -> None:
    async def scene() -> bytes:
        limits = short(fruitless=10**9)
        async with serving(FakeDoor(), listeners=LOOPBACK, limits=limits) as server:
            reader, writer = await asyncio.open_connection(*server.addresses[0], limit=2**16)
            talker = Talker(reader, writer)
            session = await only_session(server)
            while not session._is_deaf:
                await talker.say_raw(b"HELP\r\n" * 1_000)
                await asyncio.sleep(0)
            await talker.say(b"QUIT")
            heard = await talker.hear_all()
            await talker.close()
            return heard.splitlines()[-1]

    assert run(scene(), loop) == b"221 2.0.0 Bye"


# Octets


def test_a_content_far_beyond_the_limit_ends_the_session() -> None:
    async def scene() -> bytes:
        limits = SessionLimits(message_size=1_000)
        async with (
            serving(FakeDoor(), listeners=LOOPBACK, limits=limits) as server,
            talking(server) as talker,
        ):
            await talker.begin()
            answer = asyncio.create_task(talker.hear_all())
            while not answer.done():
                await talker.say_raw(b"0123456789" * 1_000 + b"\r\n")
                await asyncio.wait([answer], timeout=0)
            return answer.result()

    assert run(scene()) == b"552 5.3.4 The message is too large\r\n"


def test_contents_of_all_sessions_together_have_a_limit() -> None:
    async def scene() -> list[bytes]:
        door = FakeDoor(is_shut=True)
        limits = SessionLimits(buffer_bytes=10_000)
        async with (
            serving(door, listeners=LOOPBACK, limits=limits) as server,
            talking(server) as first,
            talking(server) as second,
            talking(server) as third,
        ):
            await first.begin()
            await second.begin()
            await first.say(b"x" * 9_000, b".")
            await door.knocked.wait()
            heard = [await second.ask(b"x" * 2_000, b".")]
            await second.say(b"MAIL FROM:<>", b"RCPT TO:<bob@there.test>", b"DATA")
            await second.hear_reply()
            await second.hear_reply()
            heard.append(await second.hear_reply())
            await second.say(b"x" * 990, b".")  # fills the room to its brim
            await until(lambda: server._service.held >= 9_990)
            await third.hear_reply()
            await third.say(b"HELO c", b"MAIL FROM:<>", b"RCPT TO:<bob@there.test>", b"DATA")
            for _ in range(3):
                await third.hear_reply()
            await until(lambda: server._service.held >= 9_990)
            door.open()
            heard += [await first.hear_reply(), await second.hear_reply()]
            assert server._service.held == 0
            return heard

    no_memory = b"452 4.3.1 Too much content is arriving now"
    replies = run(scene())
    assert replies[0] == no_memory
    assert replies[1][:3] == b"354"
    assert [reply[:3] for reply in replies[2:]] == [b"250", b"250"]


def test_a_client_cannot_fill_our_memory_while_its_message_is_taken() -> None:
    async def scene() -> int:
        door = FakeDoor(is_shut=True)
        async with (
            serving(door, listeners=LOOPBACK) as server,
            talking(server) as talker,
        ):
            await talker.begin()
            await talker.say(b"one", b".")
            await door.knocked.wait()
            flood = asyncio.create_task(talker.say_raw(b"NOOP\r\n" * 2_000_000))
            session = await only_session(server)
            await until(lambda: session._is_paused)
            kept = len(session._inbox)
            door.open()
            assert await talker.hear_reply() == b"250 2.0.0 Queued as id1"
            talker.hang_up()
            await asyncio.gather(flood, return_exceptions=True)
            return kept

    assert run(scene()) <= 512 * 1024


# Clients that go


@each_loop
def test_a_client_that_says_no_more_is_still_answered(loop: str) -> None:
    async def scene() -> bytes:
        door = FakeDoor()
        async with serving(door, listeners=LOOPBACK) as server, talking(server) as talker:
            await talker.say(b"HELO c", b"MAIL FROM:<>", b"RCPT TO:<bob@there.test>", b"DATA", b".")
            talker.say_no_more()
            return await talker.hear_all()

    codes = [line[:3] for line in run(scene(), loop).splitlines()]
    assert codes == [b"220", b"250", b"250", b"250", b"354", b"250"]


@each_loop
@pytest.mark.parametrize("is_abrupt", [True, False])
def test_a_message_is_taken_though_its_client_goes_before_the_reply(
    is_abrupt: bool, loop: str
) -> None:
    async def scene() -> list[bytes]:
        door = FakeDoor(is_shut=True)
        async with serving(door, listeners=LOOPBACK) as server:
            async with talking(server) as talker:
                await talker.begin()
                await talker.say(b"one", b".")
                await door.knocked.wait()
                if is_abrupt:
                    talker.hang_up()
            door.open()
            await until(lambda: not server._sessions)
        return [submission.content for submission in door.submissions]

    assert run(scene(), loop) == [b"one\r\n"]


@pytest.mark.parametrize("said", [b"", b"NOO", b"HELO c\r\nMAIL FROM:<>\r\n"])
def test_a_client_may_go_at_any_time(said: bytes) -> None:
    async def scene() -> None:
        async with serving(FakeDoor(), listeners=LOOPBACK) as server:
            async with talking(server) as talker:
                await talker.say_raw(said)
                talker.hang_up()
            await until(lambda: not server._sessions)

    run(scene())


def test_a_content_without_its_end_is_no_message() -> None:
    async def scene() -> FakeDoor:
        door = FakeDoor()
        async with serving(door, listeners=LOOPBACK) as server:
            async with talking(server) as talker:
                await talker.begin()
                await talker.say(b"one")
                talker.say_no_more()
                assert await talker.hear_all() == b""
            assert server._service.held == 0
        return door

    assert run(scene()).submissions == []


# Seeing everybody out


@each_loop
def test_stopping_sends_idle_clients_away_and_lets_messages_end(loop: str) -> None:
    async def scene() -> list[bytes]:
        door = FakeDoor(is_shut=True)
        async with (
            serving(door, listeners=LOOPBACK) as server,
            talking(server) as idle,
            talking(server) as writing,
            talking(server) as waiting,
        ):
            await idle.hear_reply()
            await writing.begin()
            await waiting.begin()
            await waiting.say(b"one", b".")
            await door.knocked.wait()

            drained = asyncio.create_task(server.drain(PATIENCE))
            heard = [await idle.hear_all()]
            await writing.say(b"two", b".")
            door.open()
            heard += [await waiting.hear_all(), await writing.hear_all()]
            await drained
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*server.addresses[0])
            return heard

    goodbye = b"421 4.3.2 Shutting down\r\n"
    idle, waiting, writing = run(scene(), loop)
    assert idle == goodbye
    assert {waiting, writing} == {
        b"250 2.0.0 Queued as id1\r\n" + goodbye,
        b"250 2.0.0 Queued as id2\r\n" + goodbye,
    }


@each_loop
def test_stopping_waits_for_no_handshake(loop: str, context: ssl.SSLContext) -> None:
    async def scene() -> None:
        listener = Listener(Endpoint("127.0.0.1", 0), tls=TlsStart.IMPLICIT)
        async with (
            serving(FakeDoor(), listeners=[listener], tls=context) as server,
            talking(server) as stalling,
        ):
            await until(lambda: server._clients.total() == 1)
            async with asyncio.timeout(PATIENCE):
                await server.drain(2 * PATIENCE)
            await hear_the_end(stalling)

    run(scene(), loop)


def test_after_its_limit_stopping_cuts_contents_off_and_still_waits_for_replies() -> None:
    async def scene() -> tuple[bytes, bytes, FakeDoor]:
        door = FakeDoor(is_shut=True)
        async with (
            serving(door, listeners=LOOPBACK) as server,
            talking(server) as writing,
            talking(server) as waiting,
        ):
            await writing.begin()
            await waiting.begin()
            await waiting.say(b"one", b".")
            await door.knocked.wait()

            drained = asyncio.create_task(server.drain(0.05))
            cut = await writing.hear_all()
            await writing.close()
            is_early = drained.done()
            door.open()
            await drained
            assert not is_early
            return cut, await waiting.hear_all(), door

    cut, answered, door = run(scene())
    assert cut == b"421 4.3.2 Shutting down\r\n"
    assert answered == b"250 2.0.0 Queued as id1\r\n421 4.3.2 Shutting down\r\n"
    assert len(door.submissions) == 1


def test_new_limits_count_for_new_sessions() -> None:
    async def size(talker: Talker) -> bytes:
        await talker.hear_reply()
        await talker.say(b"EHLO c")
        await talker.hear()
        return await talker.hear()

    async def scene() -> list[bytes]:
        async with serving(FakeDoor(), listeners=LOOPBACK) as server, talking(server) as old:
            await until(lambda: bool(server._sessions))
            server.replace_limits(SessionLimits(message_size=1_000))
            async with talking(server) as new:
                return [await size(old), await size(new)]

    assert run(scene()) == [b"250-SIZE 26214400", b"250-SIZE 1000"]


# What is told of it


def test_nothing_that_a_client_says_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        door = FakeDoor()
        async with serving(door, listeners=LOOPBACK) as server, talking(server) as talker:
            await talker.begin(recipient=b"broken@there.test")
            assert (await talker.ask(b"hush: secret", b"."))[:3] == b"451"

    with caplog.at_level(logging.DEBUG):
        run(scene())

    told = [record.getMessage() for record in caplog.records if record.name != "asyncio"]
    assert told == ["a message from 127.0.0.1 could not be taken"]
    assert "secret" not in caplog.text


def test_the_announced_size_reaches_the_door() -> None:
    async def scene() -> list[int]:
        door = FakeDoor()
        async with serving(door, listeners=LOOPBACK) as server, talking(server) as talker:
            await talker.hear_reply()
            await talker.ask(b"EHLO c")
            await talker.ask(b"MAIL FROM:<> SIZE=1234")
            await talker.ask(b"RSET")
            await talker.ask(b"MAIL FROM:<>")
        return door.sizes

    assert run(scene()) == [1234, 0]
