"""What can be reached from here, as far as is known."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

import pytest

from mta.model.address import parse_address
from mta.model.domain import Answer, Finding, Host, Mx, TlsDemand, TlsLevel
from mta.model.envelope import Destination, Letter, MessageId, Road
from mta.model.outcome import Outcome, Reply, Stage, broken, judge
from mta.model.source import Source

from mta.rules.delivery.families import BOTH, Families, Ipv6, Standing

from mta.flow.delivery.courier import Courier, Way
from mta.flow.delivery.reach import LOOK_INTERVAL, MAX_REMEMBERED, MEMORY, RETRY_INTERVAL, Reach
from mta.flow.tls.assurance import Assurance

from tests.flow.house import OK, FakeSession, Peer, story

FOUR, SIX = "9.9.9.9", "2606:4700::9"
LOCAL = {4: FOUR, 6: SIX}


class FakeNames:
    """A DNS with these reverse names, and addresses."""

    def __init__(self) -> None:
        self.names: dict[str, Answer[str]] = {}
        self.answers: dict[str, Answer[str]] = {}
        self.asked: list[str] = []

    def tell(self, address: str, name: str, *addresses: str) -> None:
        self.names[address] = Answer(Finding.RECORDS, (name,))
        self.answers[name] = Answer(Finding.RECORDS, addresses)

    async def pointers(self, address: str) -> Answer[str]:
        self.asked.append(address)
        return self.names.get(address, Answer(Finding.NO_NAME))

    async def addresses(self, name: str) -> Answer[str]:
        return self.answers.get(name, Answer(Finding.NO_NAME))


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def reach(
    names: FakeNames,
    *,
    ipv6: Ipv6 = Ipv6.AUTO,
    sources: Sequence[Source] = (),
    local: Mapping[int, str] = LOCAL,
    clock: Clock | None = None,
) -> Reach:
    return Reach(
        ipv6=ipv6,
        sources=sources,
        lookup=names,
        own_address=local.get,
        clock=clock or Clock(),
    )


# Our own addresses


@story
async def test_ipv6_is_used_once_our_reverse_name_is_known_to_hold() -> None:
    names = FakeNames()
    names.tell(SIX, "mail.us.test", FOUR, SIX)
    ours = reach(names)
    assert ours.families == Families((4,), (6,))

    found = await ours.look()

    assert ours.families == BOTH
    assert [(one.address, one.standing) for one in found] == [
        (FOUR, Standing.NAMELESS),
        (SIX, Standing.CONFIRMED),
    ]


@story
async def test_the_addresses_looked_at_are_those_of_the_settings() -> None:
    names = FakeNames()
    ours = reach(names, sources=[Source("9.9.9.1"), Source("9.9.9.2")])

    await ours.look()

    assert names.asked == ["9.9.9.1", "9.9.9.2"]


@story
async def test_private_addresses_are_not_asked_for() -> None:
    names = FakeNames()
    ours = reach(names, local={4: "10.0.0.5", 6: "fd00::2"})

    await ours.look()

    assert names.asked == []
    assert ours.families == Families((4,), (6,))


@story
async def test_what_was_known_stays_in_force_while_the_dns_fails() -> None:
    names = FakeNames()
    names.tell(SIX, "mail.us.test", SIX)
    ours = reach(names)
    await ours.look()

    names.names[SIX] = Answer(Finding.UNKNOWN, text="SERVFAIL")
    await ours.look()

    assert ours.families == BOTH


@story
async def test_our_names_are_looked_at_daily_and_sooner_while_the_dns_fails() -> None:
    clock, names = Clock(), FakeNames()
    ours = reach(names, local={4: FOUR}, clock=clock)
    names.names[FOUR] = Answer(Finding.UNKNOWN, text="SERVFAIL")
    await ours.look_if_due()
    await ours.look_if_due()
    assert names.asked == [FOUR]

    clock.now += RETRY_INTERVAL
    names.tell(FOUR, "mail.us.test", FOUR)
    await ours.look_if_due()
    clock.now += RETRY_INTERVAL
    await ours.look_if_due()
    assert names.asked == [FOUR] * 2

    clock.now += LOOK_INTERVAL
    await ours.look_if_due()
    assert names.asked == [FOUR] * 3


def test_what_is_wrong_is_said_once_and_again_when_it_changes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    @story
    async def scene() -> None:
        names = FakeNames()
        ours = reach(names, local={4: FOUR})
        await ours.look()
        await ours.look()
        names.tell(FOUR, "mail.us.test", FOUR)
        await ours.look()

    scene()

    assert caplog.messages == [
        "9.9.9.9 has no reverse name; large receivers expect one that leads back to it, and "
        "refuse mail",
        "9.9.9.9 is mail.us.test",
    ]


def test_of_several_processes_one_tells(caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(reach(FakeNames(), local={4: FOUR}).look_if_due(tells=False))

    assert caplog.messages == []


# Hosts


HOST = Host("mx.test", "192.0.2.1", 25)
NO_ANSWER = broken(Stage.CONNECT, HOST, "no connection within 30 seconds", detail=1)


def test_a_host_out_of_reach_is_remembered_for_a_while() -> None:
    clock = Clock()
    ours = reach(FakeNames(), clock=clock)

    ours.note(HOST, NO_ANSWER)

    assert ours.is_lost(HOST)
    assert not ours.is_lost(Host("mx.test", "192.0.2.2", 25))
    clock.now += MEMORY
    assert not ours.is_lost(HOST)


def test_one_that_refuses_us_is_within_reach() -> None:
    ours = reach(FakeNames())

    ours.note(HOST, judge(Reply(554, "not you"), Stage.GREETING, HOST))

    assert not ours.is_lost(HOST)


def test_one_that_answers_again_is_found_again() -> None:
    ours = reach(FakeNames())
    ours.note(HOST, NO_ANSWER)

    ours.note(HOST, FakeSession(HOST, Peer(), None))

    assert not ours.is_lost(HOST)


def test_only_so_many_hosts_are_remembered() -> None:
    ours = reach(FakeNames())
    hosts = [Host("mx.test", f"192.0.{n // 256}.{n % 256}", 25) for n in range(MAX_REMEMBERED + 5)]

    for host in hosts:
        ours.note(host, broken(Stage.CONNECT, host, "no"))

    assert [ours.is_lost(host) for host in hosts].count(True) == 5


class Hosts:
    """Two exchangers with two addresses each; those in `dead` do not answer."""

    def __init__(self, *dead: str) -> None:
        self.dead = set(dead)
        self.tried: list[tuple[str, bool]] = []

    async def mx(self, domain: str) -> Answer[Mx]:
        return Answer(Finding.RECORDS, (Mx(10, "mx1.test"), Mx(20, "mx2.test")))

    async def addresses(self, name: str) -> Answer[str]:
        number = name[2]
        return Answer(Finding.RECORDS, (f"2606:4700::{number}", f"9.9.9.{number}"))

    async def open(self, host: Host, demand: TlsDemand) -> FakeSession | Outcome:
        self.tried.append((host.address, host.has_more))
        if host.address in self.dead:
            return broken(Stage.CONNECT, host, "no answer")
        return FakeSession(host, Peer(), None)


async def deliver(hosts: Hosts, ours: Reach) -> list[tuple[str, bool]]:
    """The addresses that a new courier tries for one letter, and whether in haste."""
    hosts.tried.clear()
    way = Way(connector=hosts, demand=TlsDemand(TlsLevel.NONE), port=25, reach=ours)
    courier = Courier(
        Destination(Road.DIRECT, "there.test"),
        ways=[way],
        lookup=hosts,
        own_names=(),
        chance=lambda: 0.5,
        assurance=Assurance(),
    )
    recipient = parse_address("bob@there.test")
    letter = Letter(MessageId("m1"), parse_address("ann@us.test"), (recipient,), b"\r\n")
    [outcome] = await courier.deliver(letter)
    assert outcome.reply == OK
    await courier.close()
    return list(hosts.tried)


@story
async def test_the_next_message_does_not_wait_for_a_host_that_is_dead() -> None:
    hosts = Hosts("9.9.9.1", "2606:4700::1")
    ours = reach(FakeNames(), ipv6=Ipv6.ALWAYS)

    first, second = await deliver(hosts, ours), await deliver(hosts, ours)

    assert first == [("9.9.9.1", True), ("2606:4700::1", False), ("9.9.9.2", True)]
    assert second == [("9.9.9.2", True)]


@story
async def test_what_is_dead_is_tried_last_and_with_patience() -> None:
    hosts = Hosts("9.9.9.1", "2606:4700::1")
    ours = reach(FakeNames(), ipv6=Ipv6.ALWAYS)
    await deliver(hosts, ours)

    hosts.dead = {"9.9.9.2", "2606:4700::2"}
    found = await deliver(hosts, ours)

    assert found == [("9.9.9.2", True), ("2606:4700::2", False), ("9.9.9.1", False)]


@story
async def test_without_a_reverse_name_hosts_with_ipv4_are_not_tried_over_ipv6() -> None:
    hosts = Hosts("9.9.9.1")

    found = await deliver(hosts, reach(FakeNames()))

    assert found == [("9.9.9.1", False), ("9.9.9.2", False)]
