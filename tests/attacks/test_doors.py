"""What is said before TLS, in the wrong state, or in somebody else's name, at the door itself."""

import ssl
from base64 import b64encode
from contextlib import suppress
from ipaddress import ip_network

import pytest

from mta.model.listener import LOOPBACK, Auth, Endpoint, Listener, TlsStart

from mta.edge.submission import SessionLimits

from tests.edge.fake_door import (
    LOOPS,
    FakeDoor,
    FakeLogins,
    Talker,
    run,
    self_signed,
    serving,
    talking,
    trusting_anybody,
)

each_loop = pytest.mark.parametrize("loop", LOOPS)
LOG_IN = b"AUTH PLAIN " + b64encode(b"\0ann\0secret")
HERE = Endpoint("127.0.0.1", 0)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return self_signed(tmp_path_factory.mktemp("tls"))


async def greeted(talker: Talker) -> Talker:
    assert (await talker.hear())[:3] == b"220"
    assert (await talker.ask(b"EHLO client.test"))[:3] == b"250"
    return talker


@each_loop
def test_a_login_in_clear_counts_no_more_under_tls(context: ssl.SSLContext, loop: str) -> None:
    listener = Listener(HERE, TlsStart.STARTTLS, auth=Auth.REQUIRED, plaintext_auth=True)

    async def scene() -> list[bytes]:
        settings = {"listeners": [listener], "tls": context, "logins": FakeLogins()}
        async with serving(FakeDoor(), **settings) as server, talking(server) as talker:
            await greeted(talker)
            heard = [await talker.ask(LOG_IN), await talker.ask(b"STARTTLS")]
            await talker.shake_hands(trusting_anybody())
            heard.append(await talker.ask(b"MAIL FROM:<ann@here.test>"))
            heard.append(await talker.ask(b"EHLO client.test"))
            heard.append(await talker.ask(b"MAIL FROM:<ann@here.test>"))
            return heard

    assert [line[:3] for line in run(scene(), loop)] == [b"235", b"220", b"503", b"250", b"530"]


@each_loop
def test_a_transaction_in_clear_does_not_go_on_under_tls(
    context: ssl.SSLContext, loop: str
) -> None:
    async def scene() -> list[bytes]:
        settings = {"listeners": [Listener(HERE, TlsStart.STARTTLS)], "tls": context}
        async with serving(FakeDoor(), **settings) as server, talking(server) as talker:
            await greeted(talker)
            await talker.ask(b"MAIL FROM:<eve@evil.test>")
            await talker.ask(b"RCPT TO:<bob@there.test>")
            assert (await talker.ask(b"STARTTLS"))[:3] == b"220"
            await talker.shake_hands(trusting_anybody())
            return [await talker.ask(b"DATA"), await talker.ask(b"RCPT TO:<bob@there.test>")]

    assert [line[:3] for line in run(scene(), loop)] == [b"503", b"503"]


@each_loop
@pytest.mark.parametrize("injected", [b"NOOP\r\n", b"MAIL FROM:<eve@evil.test>\r\n", b"\r\n", b"x"])
def test_what_is_injected_behind_the_answer_to_starttls_is_obeyed_by_nobody(
    context: ssl.SSLContext, loop: str, injected: bytes
) -> None:
    async def scene() -> bytes:
        settings = {"listeners": [Listener(HERE, TlsStart.STARTTLS)], "tls": context}
        settings["limits"] = SessionLimits(handshake_seconds=0.5)
        async with serving(FakeDoor(), **settings) as server, talking(server) as talker:
            await greeted(talker)
            assert (await talker.ask(b"STARTTLS"))[:3] == b"220"
            await talker.say_raw(injected)
            try:
                return await talker.hear_all()
            except ConnectionError:
                return b""

    heard = run(scene(), loop)
    assert heard == b"" or heard[0] == 0x15  # an alert of TLS


def test_clients_cannot_have_tls_renegotiated_or_compressed(context: ssl.SSLContext) -> None:
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION


@each_loop
@pytest.mark.parametrize(
    "second",
    [
        b"PROXY TCP4 127.0.0.1 127.0.0.1 1 25\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\0\x01\0\x19",
    ],
    ids=["line", "binary"],
)
def test_a_second_proxy_header_is_what_the_client_says(loop: str, second: bytes) -> None:
    listener = Listener(HERE, networks=(ip_network("192.0.2.0/24"),), proxies=LOOPBACK)

    async def scene() -> list[str]:
        door = FakeDoor()
        async with serving(door, listeners=[listener]) as server, talking(server) as talker:
            await talker.say_raw(b"PROXY TCP4 192.0.2.7 127.0.0.1 1 25\r\n")
            assert (await talker.hear())[:3] == b"220"
            await talker.say_raw(second)
            assert (await talker.hear())[:3] == b"500"
            return list(server._clients)

    assert run(scene(), loop) == ["192.0.2.7"]


@pytest.mark.parametrize("header", ["X-Forwarded-For: 127.0.0.1", "XCLIENT ADDR=127.0.0.1"])
def test_nobody_speaks_for_another_address(header: str) -> None:
    async def scene() -> list[bytes]:
        settings = {"listeners": [Listener(HERE)]}
        async with serving(FakeDoor(), **settings) as server, talking(server) as talker:
            await greeted(talker)
            return [await talker.ask(header.encode())]

    assert [line[:3] for line in run(scene())] == [b"500"]


@each_loop
def test_a_pipeline_of_a_hundred_thousand_commands_ends_at_the_hundredth(loop: str) -> None:
    async def scene() -> bytes:
        settings = {"listeners": [Listener(HERE)]}
        async with serving(FakeDoor(), **settings) as server, talking(server) as talker:
            with suppress(ConnectionError):  # it is cut off while it talks on
                await talker.say_raw(b"NOOP\r\n" * 100_000)
            return await talker.hear_all()

    lines = run(scene(), loop).splitlines()
    assert lines[-1].startswith(b"421 4.7.0 Too many commands")
    assert len(lines) == 102
