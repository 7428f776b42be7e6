"""TLS sessions that are taken up again."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from mta.model.domain import Host, TlsDemand, TlsFacts, TlsLevel
from mta.model.outcome import Outcome, Stage

from mta.edge.smtpclient import SmtpConnector
from mta.edge.smtpclient.resumption import MAX_AGE, MAX_SESSIONS, ResumingContext

from tests.edge.scripted_peer import Caller, Script, ScriptedPeer, certificate, run, server_context

Loop = Callable[[], asyncio.AbstractEventLoop]

both_loops = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
OPPORTUNISTIC, REQUIRED, VERIFY = (
    TlsDemand(level) for level in (TlsLevel.OPPORTUNISTIC, TlsLevel.REQUIRED, TlsLevel.VERIFY)
)


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"), "mx.test", "127.0.0.1")


def secure(context: ssl.SSLContext, resumed: list[bool]) -> Script:
    """A peer with STARTTLS that enters whether each client took up an earlier session."""

    async def script(client: Caller) -> None:
        await client.greet("STARTTLS")
        await client.hear()
        await client.say("220 go ahead")
        await client.start_tls(context)
        resumed.append(client.resumed)
        await client.answer_hello()
        await client.take_leave()

    return script


async def breaking_off(client: Caller) -> None:
    await client.greet("STARTTLS")
    await client.hear()
    await client.say("220 go ahead")
    client.reset()


async def tls_of(connector: SmtpConnector, host: Host, demand: TlsDemand) -> TlsFacts | Outcome:
    reached = await connector.open(host, demand)
    if isinstance(reached, Outcome):
        return reached
    await reached.close()
    assert reached.tls is not None
    return reached.tls


@both_loops
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_next_connection_takes_up_the_session(
    pem: Path, new_loop: Loop, version: ssl.TLSVersion
) -> None:
    resumed: list[bool] = []
    context = server_context(pem)
    context.maximum_version = version
    facts: list[TlsFacts | Outcome] = []

    async def scene() -> None:
        connector = SmtpConnector(hostname="client.test", ca_file=pem)
        async with ScriptedPeer(secure(context, resumed)) as host:
            facts.extend([await tls_of(connector, host, VERIFY) for _ in range(3)])

    run(scene(), new_loop)

    assert resumed == [False, True, True]
    assert all(isinstance(one, TlsFacts) and one.is_verified for one in facts)
    assert facts[1:] == facts[:1] * 2


def test_a_session_without_proof_is_no_session_of_a_higher_level(pem: Path) -> None:
    resumed: list[bool] = []

    async def scene() -> None:
        connector = SmtpConnector(hostname="client.test", ca_file=pem)
        async with ScriptedPeer(secure(server_context(pem), resumed)) as host:
            for demand in (OPPORTUNISTIC, REQUIRED, VERIFY, VERIFY, OPPORTUNISTIC):
                await tls_of(connector, host, demand)

    run(scene())

    assert resumed == [False, False, False, True, True]


def test_a_session_is_never_taken_up_under_another_name(pem: Path) -> None:
    resumed: list[bool] = []

    async def scene() -> None:
        connector = SmtpConnector(hostname="client.test")
        async with ScriptedPeer(secure(server_context(pem), resumed)) as host:
            await tls_of(connector, host, OPPORTUNISTIC)
            await tls_of(connector, replace(host, name="other.test"), OPPORTUNISTIC)

    run(scene())

    assert resumed == [False, False]


def test_a_peer_that_forgot_the_session_makes_a_new_one(pem: Path) -> None:
    resumed: list[bool] = []
    before, after = server_context(pem), server_context(pem)

    async def scene() -> None:
        connector = SmtpConnector(hostname="client.test")
        async with ScriptedPeer(secure(before, resumed), secure(after, resumed)) as host:
            for _ in range(3):
                await tls_of(connector, host, OPPORTUNISTIC)

    run(scene())

    assert resumed == [False, False, True]


def test_a_handshake_that_fails_over_an_old_session_is_made_anew_and_not_without_tls(
    pem: Path,
) -> None:
    resumed: list[bool] = []
    good = secure(server_context(pem), resumed)

    async def scene() -> TlsFacts | Outcome:
        connector = SmtpConnector(hostname="client.test")
        async with ScriptedPeer(good, breaking_off, good) as host:
            await tls_of(connector, host, OPPORTUNISTIC)
            return await tls_of(connector, host, OPPORTUNISTIC)

    assert isinstance(run(scene()), TlsFacts)
    assert resumed == [False, False]


def test_a_handshake_that_fails_anew_is_not_tried_for_ever(pem: Path) -> None:
    resumed: list[bool] = []
    peer = ScriptedPeer(secure(server_context(pem), resumed), breaking_off)

    async def scene() -> TlsFacts | Outcome:
        connector = SmtpConnector(hostname="client.test")
        async with peer as host:
            await tls_of(connector, host, REQUIRED)
            return await tls_of(connector, host, REQUIRED)

    outcome = run(scene())

    assert isinstance(outcome, Outcome)
    assert outcome.stage is Stage.TLS
    assert len(peer.callers) == 3


# What is kept, and for how long


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def unverified(clock: Clock) -> ResumingContext:
    context = ResumingContext.for_client(clock)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def shake_hands(ours: ResumingContext, theirs: ssl.SSLContext, name: str) -> bool:
    """Whether the session was one that is taken up; it is kept for the next time."""
    to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ours.wrap_bio(to_us, to_them, server_hostname=name)
    server = theirs.wrap_bio(to_them, to_us, server_side=True)
    pending = [client, server]
    while pending:
        for side in list(pending):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            pending.remove(side)
    server.write(b"250 hello")
    assert client.read() == b"250 hello"
    ours.keep(name, client)
    return client.session_reused is True


def test_what_a_certificate_proved_is_proved_again_within_an_hour(pem: Path) -> None:
    clock, theirs = Clock(), server_context(pem)
    ours = unverified(clock)
    found = [shake_hands(ours, theirs, "mx.test")]
    for _ in range(3):
        clock.now += MAX_AGE / 3
        found.append(shake_hands(ours, theirs, "mx.test"))

    assert found == [False, True, True, False]  # however often it was taken up in between


def test_a_clock_that_went_back_makes_no_session_last(pem: Path) -> None:
    clock = Clock()
    ours = unverified(clock)
    shake_hands(ours, server_context(pem), "mx.test")

    clock.now -= 1

    assert not ours.knows("mx.test")


def test_sessions_are_kept_for_so_many_hosts_those_used_last(pem: Path) -> None:
    ours, theirs = unverified(Clock()), server_context(pem)
    names = [f"mx{number}.test" for number in range(MAX_SESSIONS)]
    for name in names:
        shake_hands(ours, theirs, name)
    shake_hands(ours, theirs, names[0])

    shake_hands(ours, theirs, "one-more.test")

    assert ours.knows(names[0])
    assert not ours.knows(names[1])


def test_what_is_forgotten_begins_anew(pem: Path) -> None:
    ours, theirs = unverified(Clock()), server_context(pem)
    shake_hands(ours, theirs, "mx.test")

    ours.forget("mx.test")

    assert shake_hands(ours, theirs, "mx.test") is False
