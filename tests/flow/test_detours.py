"""A direct road that is shut is left for the second one at once, probed, and taken again."""

import asyncio
from dataclasses import replace

import pytest

from mta.model.address import parse_address
from mta.model.domain import Host
from mta.model.envelope import (
    Consignment,
    Destination,
    Envelope,
    MessageId,
    Reason,
    Recipient,
    Road,
)
from mta.model.event import Event, Kind
from mta.model.outcome import Reply, Scope, Stage, judge
from mta.model.request import MessageRequest

from mta.rules.delivery.fallback import FALLBACK
from mta.rules.delivery.progress import Mode

from mta.flow.delivery.detours import PROBE_LIMIT
from mta.flow.delivery.slots import Room

from tests.flow.house import BLOCKED, LATER, MINUTE, OK, START, UNKNOWN, House, Peer, story

SHUT_FOR = FALLBACK.shut_for


def blocked() -> Peer:
    return Peer({"bob": [BLOCKED]})


def house_of(**peers: Peer) -> House:
    """Two roads; the domains a.test and b.test are of one site."""
    house = House({f"{name}.test": peer for name, peer in peers.items()}, mode=Mode.FALLBACK)
    house.sites = {"a.test": "big", "b.test": "big"}
    return house


def roads(house: House, kind: Kind) -> list[Event]:
    return [event for event in house.events if event.kind is kind]


@story
async def test_a_site_that_refuses_our_address_is_left_for_all_of_its_domains() -> None:
    a, b = blocked(), Peer()
    house = house_of(a=a, b=b)
    await house.submit("bob@a.test")
    await house.step()

    await house.submit("bob@a.test")
    await house.submit("eve@b.test")
    await house.step()

    assert (len(a.opened), len(b.opened)) == (1, 0)
    assert len(house.letters_to("relay.test")) == 3
    rerouted = roads(house, Kind.REROUTED)
    assert [event.text for event in rerouted] == ["blocked"] * 3
    assert {event.road for event in rerouted} == {Road.SMARTHOST}
    (shut,) = roads(house, Kind.ROAD_SHUT)
    assert (shut.site, shut.text, shut.next_at) == ("big", "blocked", house.now + SHUT_FOR)
    assert shut.reply is not None
    assert "blocklist" in shut.reply.text


@story
async def test_one_message_probes_a_shut_road_and_a_success_opens_it() -> None:
    gate = asyncio.Event()
    a, b = Peer({"bob": [BLOCKED, OK]}), Peer()
    house = house_of(a=a, b=b)
    await house.submit("bob@a.test")
    await house.step()
    house.now += SHUT_FOR

    a.gate = gate
    await house.submit("bob@a.test")  # the probe
    await house.let_run()
    await house.submit("bob@a.test")
    await house.submit("eve@b.test")
    await house.let_run()
    assert (len(a.opened), len(b.opened)) == (2, 0)
    assert len(house.letters_to("relay.test")) == 3
    gate.set()
    await house.step()
    await house.submit("eve@b.test")
    await house.step()

    assert (len(a.letters), len(b.letters)) == (1, 1)
    assert [event.site for event in roads(house, Kind.ROAD_OPENED)] == ["big"]
    assert house.detours.roads == ()


@story
async def test_a_probe_in_vain_goes_by_the_second_road_and_the_road_is_left_for_longer() -> None:
    a = blocked()
    house = house_of(a=a)
    for seconds in (0, SHUT_FOR, 2 * SHUT_FOR - 1, 1):
        house.now += seconds
        await house.submit("bob@a.test")
        await house.step()

    assert len(a.opened) == 3
    assert len(house.letters_to("relay.test")) == 4
    assert len(roads(house, Kind.ROAD_SHUT)) == 3
    assert roads(house, Kind.ROAD_OPENED) == []


@story
async def test_a_domain_out_of_reach_is_shut_for_itself_and_two_of_them_for_their_site() -> None:
    a, b = Peer(is_reachable=False), Peer(is_reachable=False)
    house = house_of(a=a, b=b, c=Peer())
    house.sites["c.test"] = "big"
    await house.submit("bob@a.test")
    await house.step()
    assert [event.site for event in roads(house, Kind.ROAD_SHUT)] == ["a.test"]
    await house.submit("bob@c.test")
    await house.step()
    assert len(house.letters_to("c.test")) == 1

    await house.submit("bob@b.test")
    await house.submit("bob@c.test")
    await house.step()
    await house.submit("bob@c.test")
    await house.step()

    assert [event.site for event in roads(house, Kind.ROAD_SHUT)] == ["a.test", "b.test", "big"]
    assert house.queued() == []
    assert len(house.letters_to("relay.test")) >= 3


@pytest.mark.parametrize("reply", [UNKNOWN, LATER, Reply(452, "mailbox full", 2, 2)])
def test_a_recipient_s_own_trouble_shuts_nothing(reply: Reply) -> None:
    @story
    async def told() -> None:
        peer = Peer({"bob": [reply]})
        house = house_of(a=peer)
        await house.submit("bob@a.test")
        await house.step()

        await house.submit("eve@a.test")
        await house.step()

        assert len(peer.letters) == 1
        assert roads(house, Kind.ROAD_SHUT) == []

    told()


@pytest.mark.parametrize(("needs_tls", "shut"), [(True, []), (False, ["a.test"])])
def test_a_message_that_asks_for_more_tls_than_others_shuts_nothing_for_them(
    needs_tls: bool, shut: list[str]
) -> None:
    house = house_of()
    plain = consignment("x1")
    asking = replace(plain.envelope, request=MessageRequest(needs_tls=needs_tls))
    later = judge(Reply(454, "no TLS now"), Stage.TLS, Host("mx.a.test", "192.0.2.1", 25))

    house.detours.learn(
        replace(plain, envelope=asking), [replace(later, scope=Scope.DESTINATION)], FALLBACK
    )

    assert [road.name for road in house.detours.roads] == shut


@story
async def test_what_waits_in_line_when_the_road_is_shut_is_not_tried_in_vain() -> None:
    peer = blocked()
    house = House({"a.test": peer}, mode=Mode.FALLBACK, room=Room(100, 1, 1))
    for _ in range(5):
        await house.submit("bob@a.test")

    await house.step()

    assert len(peer.opened) == 1
    assert len(house.letters_to("relay.test")) == 5


@story
async def test_what_may_have_arrived_waits_for_the_same_road() -> None:
    peer = Peer({"bob": [OK, BLOCKED, OK]}, final=[None])
    house = house_of(a=peer)
    await house.submit("bob@a.test")
    await house.step()  # silence after the final dot
    await house.submit("bob@a.test")
    await house.step()  # blocked: this one goes by the second road
    assert len(house.letters_to("relay.test")) == 1

    await house.advance(PAST_AMBIGUITY)
    assert len(house.letters_to("relay.test")) == 1
    await house.advance(SHUT_FOR + MINUTE)

    assert len(peer.letters) == 1
    assert len(house.letters_to("relay.test")) == 1


@story
async def test_what_may_have_arrived_waits_while_another_probes() -> None:
    peer = Peer({"bob": [OK, BLOCKED, OK]}, final=[None])
    house = house_of(a=peer)
    await house.submit("bob@a.test")
    await house.step()  # silence after the final dot
    await house.submit("bob@a.test")
    await house.step()  # blocked
    house.now += SHUT_FOR
    assert house.detours.barrier_to(consignment("x1")) is None  # a probe that takes its time

    await house.step()
    await house.advance(MINUTE)
    assert len(peer.opened) == 2
    await house.advance(PROBE_LIMIT)

    assert len(peer.letters) == 1
    assert len(house.letters_to("relay.test")) == 1


PAST_AMBIGUITY = 11 * MINUTE


@story
async def test_a_road_that_was_shut_is_known_after_a_restart() -> None:
    house = house_of(a=blocked())
    await house.submit("bob@a.test")
    await house.step()
    kept = house.detours.changed_roads()
    assert kept is not None
    assert house.detours.changed_roads() is None
    peer = Peer()
    again = house_of(a=peer)

    again.detours.restore(kept)
    await again.submit("bob@a.test")
    await again.step()
    assert peer.opened == []
    await again.advance(SHUT_FOR)
    await again.submit("bob@a.test")
    await again.step()

    assert len(peer.letters) == 1
    assert len(roads(again, Kind.ROAD_OPENED)) == 1


def consignment(id: str) -> Consignment:
    bob = Recipient(parse_address("bob@a.test"))
    envelope = Envelope(MessageId(id), None, (bob,), START, 1)
    return Consignment(envelope, Destination(Road.DIRECT, "a.test"), (0,), START)


@story
async def test_a_probe_that_is_never_heard_of_again_is_followed_by_another() -> None:
    house = house_of(a=blocked())
    await house.submit("bob@a.test")
    await house.step()
    barrier_to, is_probe = house.detours.barrier_to, house.detours.is_probe

    house.now += SHUT_FOR
    assert barrier_to(consignment("x1")) is None
    assert barrier_to(consignment("x2")) is not None
    assert barrier_to(consignment("x1")) is None
    assert (is_probe(consignment("x1")), is_probe(consignment("x2"))) == (True, False)
    house.now += PROBE_LIMIT

    assert barrier_to(consignment("x2")) is None


@story
async def test_a_reason_that_is_not_wanted_shuts_no_road() -> None:
    peer = blocked()
    house = house_of(a=peer)
    terms = house.settlement.terms
    plan = type(FALLBACK)(reasons=FALLBACK.reasons - {Reason.BLOCKED})
    house.settlement.renew(type(terms)(Mode.FALLBACK, terms.plan, fallback=plan))
    for _ in range(2):
        await house.submit("bob@a.test")
        await house.step()

    assert len(peer.opened) >= 2
    assert roads(house, Kind.ROAD_SHUT) == []
    assert house.letters_to("relay.test") == []
