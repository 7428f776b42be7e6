"""What becomes of a message that must not go without TLS (RFC 8689)."""

from mta.model.domain import Answer, Finding, Mx, TlsLevel
from mta.model.event import Kind
from mta.model.request import MessageRequest

from mta.rules.delivery.progress import Mode

from mta.flow.delivery.slots import Room

from tests.flow.house import MINUTE, House, Peer, story

NEEDS_TLS = MessageRequest(needs_tls=True)


def safe(
    *, breaks_tls: bool = False, has_good_certificate: bool = True, keeps_tls: bool = True
) -> Peer:
    return Peer(
        breaks_tls=breaks_tls, has_good_certificate=has_good_certificate, keeps_tls=keeps_tls
    )


def failure(house: House) -> str:
    return next(str(event.reply) for event in house.events if event.kind is Kind.FAILED)


@story
async def test_it_goes_over_verified_tls_to_a_host_that_keeps_the_promise() -> None:
    peer = safe()
    house = House({"there.test": peer})
    await house.submit("bob@there.test", request=NEEDS_TLS)

    await house.step()

    assert [demand.level for demand in peer.opened] == [TlsLevel.VERIFY]
    (letter,) = peer.letters
    assert letter.request.needs_tls


@story
async def test_a_host_without_requiretls_gets_none_and_the_sender_hears() -> None:
    house = House({"there.test": safe(keeps_tls=False), "sender.test": safe()})
    await house.submit("bob@there.test", request=NEEDS_TLS)

    await house.step()

    assert house.letters_to("there.test") == []
    assert failure(house) == "550 5.7.30 no REQUIRETLS"
    (report,) = house.letters_to("sender.test")
    assert b"Status: 5.7.30" in report.content
    assert report.request.needs_tls  # RFC 8689 §5


@story
async def test_a_host_without_sound_tls_gets_none_not_even_in_clear() -> None:
    for peer in (safe(breaks_tls=True), safe(has_good_certificate=False)):
        house = House({"there.test": peer})
        await house.submit("bob@there.test", request=NEEDS_TLS)

        await house.step()

        assert peer.letters == []
        assert [demand.level for demand in peer.opened] == [TlsLevel.VERIFY]
        assert failure(house).startswith("550 5.7.10 the message requires TLS: ")


@story
async def test_a_report_that_cannot_go_safely_does_not_go() -> None:
    house = House({"there.test": safe(keeps_tls=False), "sender.test": Peer()})
    await house.submit("bob@there.test", request=NEEDS_TLS)

    await house.step()

    assert house.letters_to("sender.test") == []
    assert house.queued() == []


@story
async def test_the_next_host_is_asked_and_the_first_forgotten() -> None:
    lax, strict = safe(keeps_tls=False), safe()
    house = House({"lax.there.test": lax, "strict.there.test": strict})
    hosts = (Mx(10, "mx.lax.there.test"), Mx(20, "mx.strict.there.test"))
    house.world.mx_answers["there.test"] = Answer(Finding.RECORDS, hosts)
    await house.submit("bob@there.test", request=NEEDS_TLS)

    await house.step()

    assert lax.letters == []
    assert len(strict.letters) == 1
    assert lax.sessions[0].closed.is_set()


@story
async def test_a_host_that_nothing_vouches_for_is_not_even_asked() -> None:
    elsewhere = safe()
    house = House({"elsewhere.test": elsewhere})
    forged = Answer(Finding.RECORDS, (Mx(10, "mx.elsewhere.test"),))
    house.world.mx_answers["there.test"] = forged
    await house.submit("bob@there.test", request=NEEDS_TLS)
    await house.submit("bob@there.test")

    await house.step()

    assert failure(house).startswith("550 5.7.30 the message requires TLS, and nothing proves ")
    assert [letter.request.needs_tls for letter in elsewhere.letters] == [False]


@story
async def test_a_host_out_of_reach_is_tried_again() -> None:
    peer = safe()
    peer.is_reachable = False
    house = House({"there.test": peer})
    await house.submit("bob@there.test", request=NEEDS_TLS)
    await house.step()
    peer.is_reachable = True

    await house.advance(MINUTE)

    assert house.kinds("bob@there.test") == [Kind.DEFERRED, Kind.DELIVERED]


@story
async def test_a_connection_opened_for_other_mail_is_used_only_where_it_is_safe_enough() -> None:
    peer = safe()
    house = House({"there.test": peer}, room=Room(100, 1, 100))  # one connection, one after another
    for request in (MessageRequest(), NEEDS_TLS, MessageRequest()):
        await house.submit("bob@there.test", request=request)

    await house.step()

    levels = [demand.level for demand in peer.opened]
    assert levels == [TlsLevel.OPPORTUNISTIC, TlsLevel.VERIFY]
    assert peer.sessions[0].closed.is_set()
    assert [letter.request.needs_tls for letter in peer.letters] == [False, True, False]


@story
async def test_it_shuts_nothing_for_other_mail() -> None:
    peer = safe(has_good_certificate=False)
    house = House({"there.test": peer})
    await house.submit("bob@there.test", request=NEEDS_TLS)
    await house.step()

    await house.submit("carol@there.test")
    await house.step()

    assert len(peer.letters) == 1


@story
async def test_the_second_road_is_held_to_the_same() -> None:
    house = House({"there.test": safe(), "relay.test": Peer()}, mode=Mode.FALLBACK)
    house.peers["there.test"].is_reachable = False
    await house.submit("bob@there.test", request=NEEDS_TLS)

    await house.step()

    assert house.kinds("bob@there.test") == [Kind.REROUTED, Kind.FAILED]
    assert house.letters_to("relay.test") == []


@story
async def test_a_smarthost_is_vouched_for_by_the_settings() -> None:
    house = House({"relay.test": safe()}, mode=Mode.SMARTHOST)
    await house.submit("bob@there.test", request=NEEDS_TLS)

    await house.step()

    assert [letter.request.needs_tls for letter in house.letters_to("relay.test")] == [True]


@story
async def test_a_header_field_waives_tls_unless_the_client_requires_it() -> None:
    house = House({"there.test": Peer()})
    content = b"From: ann@sender.test\r\nTLS-Required: no\r\n\r\nBody\r\n"
    for request in (MessageRequest(), NEEDS_TLS):
        await house.submit("bob@there.test", content=content, request=request)

    kept = [envelope.request for envelope in house.queued()]

    assert kept == [MessageRequest(waives_tls=True), NEEDS_TLS]
