"""Opening a session: connecting, greeting, securing, logging in."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from mta.model.address import Address
from mta.model.domain import Host, TlsDemand, TlsFacts, TlsLevel
from mta.model.envelope import Letter, MessageId
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict
from mta.model.source import Source

from mta.flow.ports import Connector, Session

from mta.edge.smtpclient import Login, SmtpConnector, SmtpSession, Timeouts

from tests.edge.scripted_peer import (
    Caller,
    Script,
    ScriptedPeer,
    certificate,
    free_host,
    run,
    server_context,
)

CLEAR = TlsDemand(TlsLevel.NONE)
OPPORTUNISTIC = TlsDemand(TlsLevel.OPPORTUNISTIC)
REQUIRED = TlsDemand(TlsLevel.REQUIRED)
VERIFY = TlsDemand(TlsLevel.VERIFY)

Loop = Callable[[], asyncio.AbstractEventLoop]

both_loops = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"), "mx.test", "127.0.0.1")


async def opened(
    peer: ScriptedPeer,
    demand: TlsDemand,
    *,
    ca_file: Path | None = None,
    login: Login | None = None,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
) -> TlsFacts | Outcome | None:
    """What a session to the peer is protected by, or why there is none."""
    async with peer as host:
        connector: Connector = SmtpConnector(
            hostname="client.test", timeouts=timeouts, ca_file=ca_file, login=login
        )
        session: Session | Outcome = await connector.open(host, demand)
        if isinstance(session, Outcome):
            return session
        assert session.host == host
        assert session.is_usable
        await session.close()
        return session.tls


def offering_starttls(context: ssl.SSLContext, *offers: str) -> Script:
    async def script(client: Caller) -> None:
        await client.greet("STARTTLS", "XCLEAR")
        await client.hear()
        await client.say("220 go ahead")
        await client.start_tls(context)
        await client.answer_hello(*offers)
        await client.take_leave()

    return script


async def offering_nothing(client: Caller) -> None:
    await client.greet()
    await client.take_leave()


@both_loops
def test_opportunistic_tls_takes_any_certificate(pem: Path, new_loop: Loop) -> None:
    peer = ScriptedPeer(offering_starttls(server_context(pem)), name="other.test")

    tls = run(opened(peer, OPPORTUNISTIC), new_loop)

    assert tls == TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", is_verified=False)


@both_loops
def test_the_peer_is_greeted_again_in_tls(pem: Path, new_loop: Loop) -> None:
    peer = ScriptedPeer(offering_starttls(server_context(pem)))

    run(opened(peer, OPPORTUNISTIC), new_loop)

    assert peer.callers[0].heard[:3] == [b"EHLO client.test", b"STARTTLS", b"EHLO client.test"]


def test_opportunistic_tls_goes_on_in_clear_where_none_is_offered() -> None:
    tls = run(opened(ScriptedPeer(offering_nothing), OPPORTUNISTIC))

    assert tls is None


def test_tls_that_is_not_wanted_is_not_asked_for(pem: Path) -> None:
    async def script(client: Caller) -> None:
        await client.greet("STARTTLS")
        await client.take_leave()

    peer = ScriptedPeer(script)

    tls = run(opened(peer, CLEAR))

    assert tls is None
    assert peer.callers[0].heard == [b"EHLO client.test", b"QUIT"]


@pytest.mark.parametrize("demand", [REQUIRED, VERIFY])
def test_required_tls_that_is_not_offered_is_a_failure(demand: TlsDemand) -> None:
    peer = ScriptedPeer(offering_nothing)

    outcome = run(opened(peer, demand))

    assert isinstance(outcome, Outcome)
    assert (outcome.verdict, outcome.stage, outcome.scope, outcome.reply.status) == (
        Verdict.DEFERRED,
        Stage.TLS,
        Scope.HOST,
        "4.7.5",
    )
    assert peer.callers[0].heard[-1] == b"QUIT"


def test_required_tls_need_not_be_verified(pem: Path) -> None:
    peer = ScriptedPeer(offering_starttls(server_context(pem)), name="other.test")

    tls = run(opened(peer, REQUIRED))

    assert isinstance(tls, TlsFacts)
    assert not tls.is_verified


@both_loops
def test_a_certificate_for_the_host_is_verified(pem: Path, new_loop: Loop) -> None:
    peer = ScriptedPeer(offering_starttls(server_context(pem)))

    tls = run(opened(peer, VERIFY, ca_file=pem), new_loop)

    assert isinstance(tls, TlsFacts)
    assert tls.is_verified


def test_a_certificate_for_the_address_is_verified(pem: Path) -> None:
    peer = ScriptedPeer(offering_starttls(server_context(pem)), name="[127.0.0.1]")

    tls = run(opened(peer, VERIFY, ca_file=pem))

    assert isinstance(tls, TlsFacts)
    assert tls.is_verified


@both_loops
@pytest.mark.parametrize("name", ["other.test", "[127.0.0.2]", "a..b", ".", "x" * 64 + ".test"])
def test_a_certificate_for_another_name_is_refused(pem: Path, new_loop: Loop, name: str) -> None:
    peer = ScriptedPeer(offering_starttls(server_context(pem)), name=name)

    outcome = run(opened(peer, VERIFY, ca_file=pem), new_loop)

    assert isinstance(outcome, Outcome)
    assert (outcome.verdict, outcome.stage) == (Verdict.DEFERRED, Stage.TLS)
    assert outcome.reply.status == "4.7.5"


def test_a_certificate_by_an_unknown_authority_is_refused(pem: Path) -> None:
    peer = ScriptedPeer(offering_starttls(server_context(pem)))

    outcome = run(opened(peer, VERIFY))

    assert isinstance(outcome, Outcome)
    assert outcome.stage is Stage.TLS
    assert "certificate not accepted: self-signed certificate" in outcome.reply.text


@pytest.mark.parametrize(("name", "sent"), [("mx.test", "mx.test"), ("[127.0.0.1]", None)])
def test_the_hosts_name_is_indicated_where_it_is_a_name(
    pem: Path, name: str, sent: str | None
) -> None:
    indicated: list[str | None] = []
    context = server_context(pem)
    context.sni_callback = lambda _socket, indication, _context: indicated.append(indication)
    peer = ScriptedPeer(offering_starttls(context), name=name)

    run(opened(peer, OPPORTUNISTIC))

    assert indicated == [sent]


def test_a_refused_starttls_is_a_failure_in_the_peers_words() -> None:
    async def script(client: Caller) -> None:
        await client.greet("STARTTLS")
        await client.hear()
        await client.say("554 5.7.3 no certificate here")
        await client.take_leave()

    outcome = run(opened(ScriptedPeer(script), OPPORTUNISTIC))

    assert isinstance(outcome, Outcome)
    assert (outcome.verdict, outcome.stage) == (Verdict.DEFERRED, Stage.TLS)
    assert outcome.reply == Reply(554, "no certificate here", 7, 3)


@both_loops
def test_a_failed_handshake_is_a_failure(new_loop: Loop) -> None:
    async def script(client: Caller) -> None:
        await client.greet("STARTTLS")
        await client.hear()
        await client.say("220 go ahead")
        await client.hear_some()
        await client.say("500 what is this?")
        await client.hear_end()

    outcome = run(opened(ScriptedPeer(script), OPPORTUNISTIC), new_loop)

    assert isinstance(outcome, Outcome)
    assert (outcome.verdict, outcome.stage) == (Verdict.DEFERRED, Stage.TLS)
    assert outcome.reply.status == "4.7.5"


@both_loops
def test_a_peer_that_refuses_our_half_of_the_handshake_is_a_failure(
    pem: Path, new_loop: Loop
) -> None:
    context = server_context(pem)
    context.verify_mode = ssl.CERT_REQUIRED  # of a client that has no certificate
    peer = ScriptedPeer(offering_starttls(context))

    outcome = run(opened(peer, OPPORTUNISTIC), new_loop)

    assert isinstance(outcome, Outcome)
    assert (outcome.verdict, outcome.stage) == (Verdict.DEFERRED, Stage.TLS)


@both_loops
def test_a_handshake_has_its_time_limit(new_loop: Loop) -> None:
    async def script(client: Caller) -> None:
        await client.greet("STARTTLS")
        await client.hear()
        await client.say("220 go ahead")
        await client.hear_end()

    # Nothing is left to say goodbye to: its limit must not be waited for.
    timeouts = Timeouts(handshake=0.1, quit=1000)
    outcome = run(opened(ScriptedPeer(script), OPPORTUNISTIC, timeouts=timeouts), new_loop)

    assert isinstance(outcome, Outcome)
    assert outcome.stage is Stage.TLS


@both_loops
def test_a_peer_that_closes_in_the_handshake_is_a_failure(new_loop: Loop) -> None:
    async def script(client: Caller) -> None:
        await client.greet("STARTTLS")
        await client.hear()
        await client.say("220 go ahead")

    outcome = run(opened(ScriptedPeer(script), OPPORTUNISTIC), new_loop)

    assert isinstance(outcome, Outcome)
    assert outcome.stage is Stage.TLS


@both_loops
def test_a_reply_injected_before_the_handshake_is_refused(pem: Path, new_loop: Loop) -> None:
    async def script(client: Caller) -> None:
        await client.greet("STARTTLS")
        await client.hear()
        await client.say("220 go ahead", "250-mx.test", "250 XINJECTED")
        await client.hear_end()

    outcome = run(opened(ScriptedPeer(script), OPPORTUNISTIC), new_loop)

    assert isinstance(outcome, Outcome)
    assert (outcome.verdict, outcome.stage) == (Verdict.DEFERRED, Stage.TLS)
    assert outcome.reply.status == "4.7.5"


def test_what_was_offered_in_clear_counts_no_more_in_tls(pem: Path) -> None:
    async def script(client: Caller) -> None:
        await client.greet("STARTTLS", "AUTH PLAIN")
        await client.hear()
        await client.say("220 go ahead")
        await client.start_tls(server_context(pem))
        await client.answer_hello()
        await client.take_leave()

    outcome = run(opened(ScriptedPeer(script), OPPORTUNISTIC, login=Login("user", "secret")))

    assert isinstance(outcome, Outcome)
    assert (outcome.stage, outcome.reply.status) == (Stage.LOGIN, "4.7.4")
    assert outcome.tls is not None


def test_a_peer_that_knows_only_helo_in_tls_offers_nothing(pem: Path) -> None:
    async def script(client: Caller) -> None:
        await client.greet("STARTTLS", "AUTH PLAIN")
        await client.hear()
        await client.say("220 go ahead")
        await client.start_tls(server_context(pem))
        await client.hear()
        await client.say("502 what?")
        await client.answer_hello()
        await client.take_leave()

    outcome = run(opened(ScriptedPeer(script), OPPORTUNISTIC, login=Login("user", "secret")))

    assert isinstance(outcome, Outcome)
    assert (outcome.stage, outcome.reply.status) == (Stage.LOGIN, "4.7.4")


def test_a_login_goes_over_tls(pem: Path) -> None:
    async def script(client: Caller) -> None:
        await client.greet("STARTTLS")
        await client.hear()
        await client.say("220 go ahead")
        await client.start_tls(server_context(pem))
        await client.answer_hello("AUTH PLAIN")
        await client.hear()
        await client.say("235 welcome")
        await client.take_leave()

    peer = ScriptedPeer(script)

    tls = run(opened(peer, VERIFY, ca_file=pem, login=Login("user", "secret")))

    assert isinstance(tls, TlsFacts)
    assert peer.callers[0].heard[-2:] == [b"AUTH PLAIN AHVzZXIAc2VjcmV0", b"QUIT"]


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Login("user", "secret"))


@both_loops
def test_implicit_tls_comes_before_the_greeting(pem: Path, new_loop: Loop) -> None:
    peer = ScriptedPeer(offering_nothing, implicit_tls=server_context(pem))

    tls = run(opened(peer, TlsDemand(TlsLevel.VERIFY, is_implicit=True), ca_file=pem), new_loop)

    assert isinstance(tls, TlsFacts)
    assert tls.is_verified
    assert peer.callers[0].heard == [b"EHLO client.test", b"QUIT"]


@pytest.mark.parametrize("level", TlsLevel)
def test_implicit_tls_with_a_peer_in_clear_is_a_failure(level: TlsLevel) -> None:
    async def script(client: Caller) -> None:
        await client.say("220 mx.test")
        await client.hear_end()

    outcome = run(opened(ScriptedPeer(script), TlsDemand(level, is_implicit=True)))

    assert isinstance(outcome, Outcome)
    assert (outcome.verdict, outcome.stage) == (Verdict.DEFERRED, Stage.TLS)


@both_loops
def test_a_host_where_nobody_listens_is_deferred(new_loop: Loop) -> None:
    connector = SmtpConnector(hostname="client.test")
    host = free_host()

    outcome = run(connector.open(host, OPPORTUNISTIC), new_loop)

    assert isinstance(outcome, Outcome)
    assert (outcome.stage, outcome.scope, outcome.host) == (Stage.CONNECT, Scope.HOST, host)
    assert outcome.reply == Reply(451, "Connection refused", 4, 1)


@both_loops
def test_a_host_that_cannot_be_reached_from_here_is_deferred(new_loop: Loop) -> None:
    connector = SmtpConnector(hostname="client.test", sources=[Source("127.0.0.1")])

    outcome = run(connector.open(Host("mx.test", "::1", 25), OPPORTUNISTIC), new_loop)

    assert isinstance(outcome, Outcome)
    assert (outcome.stage, outcome.reply.status) == (Stage.CONNECT, "4.4.1")


@both_loops
@pytest.mark.parametrize(
    ("timeouts", "has_more"), [(Timeouts(haste=0.1), True), (Timeouts(connect=0.1), False)]
)
def test_a_host_that_does_not_answer_is_waited_for_in_haste_where_it_has_another_address(
    new_loop: Loop, timeouts: Timeouts, has_more: bool
) -> None:
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)  # who comes when its queue is full gets no answer
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        host = Host("mx.test", "127.0.0.1", deaf.getsockname()[1], has_more=has_more)

        outcome = run(
            SmtpConnector(hostname="c.test", timeouts=timeouts).open(host, CLEAR), new_loop
        )

    assert isinstance(outcome, Outcome)
    assert outcome.reply.text == "no connection within 0.1 seconds"


def test_authorities_that_cannot_be_read_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        SmtpConnector(hostname="client.test", ca_file=tmp_path / "nothing.pem")


async def greeting_without_end(client: Caller) -> None:
    await client.say("220-mx.test")
    await client.hear_end()


async def handshake_without_end(client: Caller) -> None:
    await client.greet("STARTTLS")
    await client.hear()
    await client.say("220 go ahead")
    await client.hear_end()


@both_loops
@pytest.mark.parametrize("script", [greeting_without_end, handshake_without_end])
def test_cancelling_leaves_no_connection_behind(script: Script, new_loop: Loop) -> None:
    async def cancel() -> None:
        async with ScriptedPeer(script) as host:
            connector = SmtpConnector(hostname="client.test")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(connector.open(host, OPPORTUNISTIC), 0.1)

    run(cancel(), new_loop)  # the script would wait in vain for the end


@both_loops
def test_a_large_message_goes_over_tls_whole(pem: Path, new_loop: Loop) -> None:
    content = b"".join(b".%d.%s\r\n" % (number, b"x" * 900) for number in range(20_000))
    received: list[bytes] = []

    async def script(client: Caller) -> None:
        await client.greet("STARTTLS")
        await client.hear()
        await client.say("220 go ahead")
        await client.start_tls(server_context(pem))
        await client.answer_hello("PIPELINING")
        await client.hear(3)
        await client.say("250 ok", "250 ok", "354 go ahead")
        received.append(await client.hear_content())
        await client.say("250 ok")
        await client.take_leave()

    async def carry() -> Outcome:
        async with ScriptedPeer(script) as host:
            session = await SmtpConnector(hostname="client.test").open(host, OPPORTUNISTIC)
            assert isinstance(session, SmtpSession)
            recipient = Address("ann", "there.test")
            [outcome] = await session.send(Letter(MessageId("m1"), None, (recipient,), content))
            await session.close()
            return outcome

    outcome = run(carry(), new_loop)

    assert outcome.verdict is Verdict.DELIVERED
    assert outcome.tls is not None
    assert received == [b"." + content.replace(b"\r\n.", b"\r\n..") + b".\r\n"]
