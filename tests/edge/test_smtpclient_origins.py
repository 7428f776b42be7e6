"""Connections from our own addresses."""

import asyncio
import logging
from collections.abc import Callable, Sequence

import pytest
import uvloop

from mta.model.domain import Host, TlsDemand, TlsLevel
from mta.model.outcome import Outcome, Stage, Verdict
from mta.model.source import Source

from mta.rules.delivery.sources import sources_for

from mta.edge.smtpclient import SmtpConnector

from tests.edge.scripted_peer import Caller, ScriptedPeer, free_host, run

Loop = Callable[[], asyncio.AbstractEventLoop]

both_loops = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
CLEAR = TlsDemand(TlsLevel.NONE)
OURS = Source("127.0.0.2", "two.client.test")
NOT_OURS = Source("192.0.2.1", "elsewhere.client.test", weight=1000)  # RFC 5737 §3


async def seen(
    sources: Sequence[Source], times: int = 1, address: str = "127.0.0.1"
) -> list[tuple[str, bytes] | Outcome]:
    """The address that a peer sees and the name that it hears, each time; or what kept us away."""
    found: list[tuple[str, bytes] | Outcome] = []

    async def script(client: Caller) -> None:
        await client.greet()
        found.append((client.address, client.heard[0]))
        await client.take_leave()

    async with ScriptedPeer(script, address=address) as host:
        connector = SmtpConnector(hostname="client.test", sources=sources)
        for _ in range(times):
            session = await connector.open(host, CLEAR)
            if isinstance(session, Outcome):
                found.append(session)
            else:
                await session.close()
    return found


@both_loops
def test_connections_come_from_a_source_address_under_its_name(new_loop: Loop) -> None:
    assert run(seen([OURS]), new_loop) == [("127.0.0.2", b"EHLO two.client.test")]


@both_loops
def test_a_host_of_ipv6_is_connected_to_from_an_address_of_ipv6(new_loop: Loop) -> None:
    found = run(seen([OURS, Source("::1", "six.client.test")], address="::1"), new_loop)

    assert found == [("::1", b"EHLO six.client.test")]


def test_a_source_without_a_name_goes_by_the_servers() -> None:
    assert run(seen([Source("127.0.0.3")])) == [("127.0.0.3", b"EHLO client.test")]


def test_without_sources_the_system_chooses() -> None:
    assert run(seen([])) == [("127.0.0.1", b"EHLO client.test")]


@both_loops
def test_one_that_is_not_ours_is_told_of_once_and_left_out(
    new_loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert sources_for([OURS, NOT_OURS], "mx.test", 4)[0] is NOT_OURS  # the one to be used first

    found = run(seen([OURS, NOT_OURS], times=3), new_loop)

    assert found == [("127.0.0.2", b"EHLO two.client.test")] * 3
    assert caplog.messages == ["no mail goes out from 192.0.2.1: Cannot assign requested address"]


def test_mail_waits_where_none_can_be_used() -> None:
    [outcome] = run(seen([NOT_OURS]))

    assert isinstance(outcome, Outcome)
    assert (outcome.verdict, outcome.stage) == (Verdict.DEFERRED, Stage.CONNECT)
    assert outcome.reply.text == "none of our IPv4 source addresses can be used, see the log"


def test_a_host_of_another_ip_version_cannot_be_reached() -> None:
    connector = SmtpConnector(hostname="client.test", sources=[OURS])

    outcome = run(connector.open(Host("mx.test", "::1", 25), CLEAR))

    assert isinstance(outcome, Outcome)
    assert outcome.reply.text == "none of our source addresses is IPv6"


@both_loops
def test_a_refused_connection_says_so(new_loop: Loop) -> None:
    connector = SmtpConnector(hostname="client.test", sources=[OURS])

    outcome = run(connector.open(free_host(), CLEAR), new_loop)

    assert isinstance(outcome, Outcome)
    assert outcome.reply.text == "Connection refused"
