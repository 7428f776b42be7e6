"""Behind a proxy: whose connection begins with a PROXY header, and who counts as the client."""

import asyncio
import logging
import ssl
import struct
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from ipaddress import ip_network

import pytest

from mta.model.listener import LOOPBACK, Endpoint, Listener, Network, TlsStart

from mta.edge.submission import SessionLimits, SubmissionServer

from tests.edge.fake_door import (
    LOOPS,
    PATIENCE,
    FakeDoor,
    Talker,
    run,
    self_signed,
    serving,
    talking,
    trusting_anybody,
)

each_loop = pytest.mark.parametrize("loop", LOOPS)

CLIENTS: tuple[Network, ...] = (ip_network("192.0.2.0/24"),)
GREETING = b"220 mail.test ESMTP mta"


def behind(
    tls: TlsStart = TlsStart.NONE,
    *,
    networks: tuple[Network, ...] = CLIENTS,
    proxies: tuple[Network, ...] = LOOPBACK,
) -> Listener:
    return Listener(Endpoint("127.0.0.1", 0), tls, networks=networks, proxies=proxies)


def line(client: str) -> bytes:
    return f"PROXY TCP4 {client} 198.51.100.1 40000 25\r\n".encode()


def binary(client: str) -> bytes:
    address = bytes(map(int, client.split(".")))
    extension = b"\x04\0\x02xx"
    rest = address + bytes([198, 51, 100, 1]) + struct.pack(">HH", 40_000, 25) + extension
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(">BBH", 0x21, 0x11, len(rest)) + rest


LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return self_signed(tmp_path_factory.mktemp("tls"))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


# Who counts


@each_loop
@pytest.mark.parametrize("header", [line, binary])
def test_the_client_that_the_header_names_counts(loop: str, header: Callable[[str], bytes]) -> None:
    async def scene() -> FakeDoor:
        door = FakeDoor()
        async with serving(door, listeners=[behind()]) as server, talking(server) as talker:
            await talker.say_raw(header("192.0.2.7"))
            await talker.begin()
            assert server._clients == {"192.0.2.7": 1}
            assert (await talker.ask(b"one", b"."))[:3] == b"250"
        return door

    assert run(scene(), loop).submissions[0].client.address == "192.0.2.7"


@pytest.mark.parametrize("header", [line, binary])
def test_a_client_from_elsewhere_is_refused_although_its_proxy_is_not(
    header: Callable[[str], bytes],
) -> None:
    async def scene() -> bytes:
        listener = behind(networks=(*CLIENTS, *LOOPBACK))
        async with serving(FakeDoor(), listeners=[listener]) as server, talking(server) as talker:
            await talker.say_raw(header("203.0.113.1"))
            return await talker.hear_all()

    assert run(scene()) == b"554 5.7.1 Not from your address\r\n"


@pytest.mark.parametrize("header", [LOCAL, b"PROXY UNKNOWN\r\n"])
def test_a_proxy_that_speaks_for_itself_is_judged_by_its_own_address(header: bytes) -> None:
    async def heard(networks: tuple[Network, ...]) -> bytes:
        async with (
            serving(FakeDoor(), listeners=[behind(networks=networks)]) as server,
            talking(server) as talker,
        ):
            await talker.say_raw(header)
            return await talker.hear()

    assert run(heard(LOOPBACK)) == GREETING
    assert run(heard(CLIENTS)) == b"554 5.7.1 Not from your address"


@pytest.mark.parametrize("networks", [CLIENTS, LOOPBACK])
def test_nobody_else_can_claim_an_address(networks: tuple[Network, ...]) -> None:
    async def scene() -> tuple[bytes, bytes]:
        listener = behind(networks=networks, proxies=(ip_network("10.0.0.0/8"),))
        async with serving(FakeDoor(), listeners=[listener]) as server, talking(server) as talker:
            first = await talker.hear()
            return first, first if first[:3] == b"554" else await talker.ask(line("192.0.2.7")[:-2])

    first, second = run(scene())
    if networks is CLIENTS:
        assert first == b"554 5.7.1 Not from your address"
    else:
        assert first == GREETING
        assert second == b"500 5.5.1 Command not recognised"


def test_limits_count_clients_and_not_their_proxy() -> None:
    async def heard(server: SubmissionServer, client: str, *others: Talker) -> bytes:
        async with talking(server) as talker:
            await talker.say_raw(line(client))
            return await talker.hear()

    async def scene() -> list[bytes]:
        limits = SessionLimits(connections_per_client=1)
        async with (
            serving(FakeDoor(), listeners=[behind()], limits=limits) as server,
            talking(server) as silent,
            talking(server) as first,
        ):
            await until(lambda: server._inside == 2)
            await first.say_raw(line("192.0.2.1"))
            greetings = [await first.hear()]
            greetings += [await heard(server, client) for client in ("192.0.2.1", "192.0.2.2")]
            silent.hang_up()
            await until(lambda: server._clients == {"192.0.2.1": 1})
            return greetings

    refusal = b"421 4.7.0 Too many connections from your address"
    assert run(scene()) == [GREETING, refusal, GREETING]


def test_a_host_with_a_network_of_addresses_is_one_client() -> None:
    async def scene() -> list[bytes]:
        limits = SessionLimits(connections_per_client=2)
        heard = []
        async with (
            serving(
                FakeDoor(),
                listeners=[behind(networks=(ip_network("2001:db8::/32"),))],
                limits=limits,
            ) as server,
            AsyncExitStack() as stack,
        ):
            for client in ("2001:db8::1", "2001:db8::2", "2001:db8::3:4:5:6", "2001:db8:0:1::1"):
                talker = await stack.enter_async_context(talking(server))
                await talker.say_raw(f"PROXY TCP6 {client} 2001:db8:9::1 4000 25\r\n".encode())
                heard.append(await talker.hear())
        await until(lambda: not server._clients)
        return heard

    refusal = b"421 4.7.0 Too many connections from your address"
    assert run(scene()) == [GREETING, GREETING, refusal, GREETING]


def test_connections_without_a_header_yet_count_among_all() -> None:
    async def scene() -> bytes:
        limits = SessionLimits(connections=1)
        async with (
            serving(FakeDoor(), listeners=[behind()], limits=limits) as server,
            talking(server),
        ):
            await until(lambda: server._inside == 1)
            async with talking(server) as second:
                return await second.hear_all()

    assert run(scene()) == b""


# The order of things


@each_loop
def test_nothing_is_said_before_the_header_is_whole(loop: str) -> None:
    async def scene() -> bytes:
        async with serving(FakeDoor(), listeners=[behind()]) as server, talking(server) as talker:
            header = line("192.0.2.7")
            await talker.say_by_octets(header[:-1])
            await until(lambda: server._inside == 1)
            assert not server._sessions
            await talker.say_raw(header[-1:])
            return await talker.hear()

    assert run(scene(), loop) == GREETING


@each_loop
@pytest.mark.parametrize("header", [line, binary])
def test_what_comes_behind_the_header_is_the_client_s(
    loop: str, header: Callable[[str], bytes]
) -> None:
    async def scene() -> list[bytes]:
        async with serving(FakeDoor(), listeners=[behind()]) as server, talking(server) as talker:
            await talker.say_raw(header("192.0.2.7") + b"HELO c\r\nNOOP\r\nQUIT\r\n")
            return (await talker.hear_all()).splitlines()

    codes = [reply[:3] for reply in run(scene(), loop)]
    assert codes == [b"220", b"250", b"250", b"221"]


@each_loop
@pytest.mark.parametrize("header", [line, binary])
def test_with_implicit_tls_the_header_comes_first_in_clear(
    loop: str, header: Callable[[str], bytes], context: ssl.SSLContext
) -> None:
    async def scene() -> FakeDoor:
        door = FakeDoor()
        listener = behind(TlsStart.IMPLICIT)
        async with (
            serving(door, listeners=[listener], tls=context) as server,
            talking(server) as talker,
        ):
            await talker.say_raw(header("192.0.2.7"))
            await talker.shake_hands(trusting_anybody())
            await talker.begin()
            assert (await talker.ask(b"one", b"."))[:3] == b"250"
        return door

    client = run(scene(), loop).submissions[0].client
    assert (client.address, client.protocol) == ("192.0.2.7", "ESMTPS")


@each_loop
def test_with_implicit_tls_who_may_not_come_gets_no_handshake(
    loop: str, context: ssl.SSLContext
) -> None:
    async def scene() -> bytes:
        async with (
            serving(FakeDoor(), listeners=[behind(TlsStart.IMPLICIT)], tls=context) as server,
            talking(server) as talker,
        ):
            await talker.say_raw(line("203.0.113.1"))
            return await talker.hear_all()

    assert run(scene(), loop) == b""


@each_loop
def test_starttls_comes_as_ever_and_takes_no_injection(loop: str, context: ssl.SSLContext) -> None:
    async def scene() -> tuple[bytes, bytes]:
        async with (
            serving(FakeDoor(), listeners=[behind(TlsStart.STARTTLS)], tls=context) as server,
            talking(server) as talker,
            talking(server) as attacker,
        ):
            await talker.say_raw(line("192.0.2.7") + b"STARTTLS\r\n")
            assert await talker.hear() == GREETING
            assert (await talker.hear())[:3] == b"220"
            await talker.shake_hands(trusting_anybody())
            await attacker.say_raw(line("192.0.2.7") + b"STARTTLS\r\nNOOP\r\n")
            return await talker.ask(b"STARTTLS"), await attacker.hear_all()

    under_tls, injected = run(scene(), loop)
    assert under_tls == b"503 5.5.1 TLS is on already"
    assert injected.splitlines()[1] == b"554 5.7.0 Nothing may follow STARTTLS in clear"


# Proxies that do not keep to it


@each_loop
@pytest.mark.parametrize(
    "said", [b"EHLO c\r\n", b"\x16\x03\x01\x02", b"PROXY TCP4 no\r\n", LOCAL[:12] + b"\x11\0\0\0"]
)
def test_what_is_no_header_is_hung_up_on_without_a_word_and_told_of_once(
    loop: str, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> list[bytes]:
        heard = []
        async with serving(FakeDoor(), listeners=[behind()]) as server:
            for _ in range(20):
                async with talking(server) as talker:
                    await talker.say_raw(said)
                    heard.append(await talker.hear_all())
            await until(lambda: not server._clients)
        return heard

    assert set(run(scene(), loop)) == {b""}
    (told,) = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert told.startswith("127.0.0.1:0: hung up on the proxy 127.0.0.1: expected ")


@each_loop
@pytest.mark.parametrize("said", [b"", b"PROXY TCP4 192.0.2", LOCAL[:13]])
def test_a_header_has_its_time(loop: str, said: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> bytes:
        limits = SessionLimits(handshake_seconds=0.1)
        async with (
            serving(FakeDoor(), listeners=[behind()], limits=limits) as server,
            talking(server) as talker,
        ):
            await talker.say_raw(said)
            heard = await talker.hear_all()
            await until(lambda: not server._clients)
            return heard

    assert run(scene(), loop) == b""
    assert "expected a PROXY header within 0.1 s, found none" in caplog.text


@each_loop
def test_a_header_that_trickles_has_its_time_too(loop: str) -> None:
    async def scene() -> bytes:
        limits = SessionLimits(handshake_seconds=0.1)
        async with (
            serving(FakeDoor(), listeners=[behind()], limits=limits) as server,
            talking(server) as talker,
        ):
            await talker.say_raw(b"PROXY UNKNOWN ")
            answer = asyncio.create_task(talker.hear_all())
            while not answer.done():
                with suppress(ConnectionError):
                    await talker.say_raw(b"x")
                await asyncio.wait([answer], timeout=0.01)
            await until(lambda: not server._clients)
            # What it said last was not read any more: a reset, where that came first.
            is_reset = isinstance(answer.exception(), ConnectionError)
            return b"" if is_reset else answer.result()

    assert run(scene(), loop) == b""


def test_a_proxy_that_only_looks_whether_we_are_there_is_no_trouble(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene() -> None:
        async with serving(FakeDoor(), listeners=[behind()]) as server:
            async with talking(server):
                await until(lambda: server._inside == 1)
            async with talking(server) as abrupt:
                await until(lambda: server._inside == 1)
                abrupt.hang_up()
            await until(lambda: not server._clients)

    run(scene())

    assert caplog.records == []


@each_loop
def test_stopping_waits_for_no_header(loop: str) -> None:
    async def scene() -> bytes:
        async with serving(FakeDoor(), listeners=[behind()]) as server, talking(server) as silent:
            await until(lambda: server._inside == 1)
            async with asyncio.timeout(PATIENCE):
                await server.drain(2 * PATIENCE)
            return await silent.hear_all()

    assert run(scene(), loop) == b""
