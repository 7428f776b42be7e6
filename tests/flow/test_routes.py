"""Routes: chosen when mail comes, kept by name, looked up when it goes."""

from dataclasses import replace

from mta.model.address import parse_domain
from mta.model.event import Kind

from mta.rules.delivery.progress import Mode
from mta.rules.delivery.retry import RetryPlan
from mta.rules.routes.choose import Rule
from mta.rules.routes.patterns import read_pattern

from tests.flow.house import DAY, HOUR, LATER, MINUTE, PLAN, House, Peer, story

OFFICE = Rule("office", recipients=(read_pattern("office.test", parse_domain),))
TAGGED = Rule("tagged", tags=frozenset({"invoice"}))


def with_routes(house: House, *rules: Rule, mode: Mode = Mode.SMARTHOST) -> House:
    house.intake.house = replace(house.intake.house, routes=rules)
    terms = house.settlement.terms
    routes = {rule.name: replace(terms, mode=mode) for rule in rules}
    house.settlement.renew(replace(terms, routes=routes))
    return house


@story
async def test_mail_takes_its_route_and_all_other_mail_the_default() -> None:
    house = with_routes(House({"there.test": Peer(), "first.test": Peer()}), OFFICE)
    house.relays["office"] = ["mx.first.test"]
    await house.submit("bob@office.test", "ann@office.test", "cat@there.test")

    await house.step()

    (letter,) = house.letters_to("first.test")
    assert [str(one) for one in letter.recipients] == ["bob@office.test", "ann@office.test"]
    assert [str(one.recipients[0]) for one in house.letters_to("there.test")] == ["cat@there.test"]


@story
async def test_a_field_with_tags_chooses_a_route_and_leaves_with_nobody() -> None:
    house = with_routes(House({"there.test": Peer()}), TAGGED)
    content = b"From: ann@sender.test\r\nX-MTA-Tag: eu, Invoice\r\nX-MTA-Tag: invoice\r\n\r\nHi\r\n"
    await house.submit("bob@there.test", content=content)

    assert house.queued()[0].request.tags == ("eu", "Invoice", "invoice")
    await house.step()

    (letter,) = house.letters_to("relay.test")
    assert b"X-MTA-Tag" not in letter.content
    assert house.letters_to("there.test") == []


@story
async def test_tags_that_are_none_are_refused() -> None:
    house = House()

    reply = await house.submit("bob@there.test", content=b"X-MTA-Tag: " + b"a" * 65 + b"\r\n\r\n")

    assert (reply.code, reply.status) == (554, "5.6.0")
    assert "X-MTA-Tag" in reply.text


@story
async def test_a_route_has_its_own_patience() -> None:
    house = with_routes(House({"relay.test": Peer({"bob": [LATER]})}), OFFICE)
    terms = house.settlement.terms
    impatient = replace(terms.routes["office"], plan=RetryPlan((MINUTE,), 3 * MINUTE))
    house.settlement.renew(replace(terms, routes={"office": impatient}))
    await house.submit("bob@office.test")

    await house.step()
    for _ in range(4):
        await house.advance(2 * MINUTE)

    assert house.kinds("bob@office.test")[-1] is Kind.FAILED
    assert PLAN.give_up_after > DAY  # what all other mail has


@story
async def test_mail_whose_route_is_gone_begins_anew_on_the_default_one() -> None:
    house = with_routes(House({"office.test": Peer()}, mode=Mode.FALLBACK), OFFICE)
    house.peers["relay.test"].is_reachable = False
    await house.submit("bob@office.test")
    await house.step()
    assert house.letters_to("office.test") == []

    house.settlement.renew(replace(house.settlement.terms, routes={}))
    house.dispatcher.reroute()
    await house.advance(HOUR)

    assert len(house.letters_to("office.test")) == 1  # directly, as all mail begins
    assert house.queued() == []


@story
async def test_a_route_that_waits_holds_nobody_on_another() -> None:
    house = with_routes(House({"office.test": Peer(), "relay.test": Peer()}), TAGGED)
    house.peers["relay.test"].is_reachable = False
    await house.submit("ann@office.test", content=b"X-MTA-Tag: invoice\r\n\r\nHi\r\n")
    await house.step()

    await house.submit("bob@office.test")
    await house.step()

    assert [str(one.recipients[0]) for one in house.letters_to("office.test")] == [
        "bob@office.test"
    ]


# Several relays in order


def house_with_two_relays(first: Peer, second: Peer) -> House:
    house = House({"first.test": first, "second.test": second}, mode=Mode.SMARTHOST)
    house.relays[""] = ["mx.first.test", "mx.second.test"]
    return house


@story
async def test_the_first_relay_takes_all_while_it_can_be_reached() -> None:
    house = house_with_two_relays(Peer(), Peer())
    await house.submit("bob@there.test")

    await house.step()

    assert (len(house.letters_to("first.test")), len(house.letters_to("second.test"))) == (1, 0)


@story
async def test_where_a_relay_cannot_be_reached_the_next_one_takes_the_mail() -> None:
    for first in (Peer(is_reachable=False), Peer(greeting=LATER), Peer(breaks_tls=True)):
        house = house_with_two_relays(first, Peer())
        await house.submit("bob@there.test")

        await house.step()

        assert house.kinds("bob@there.test") == [Kind.DELIVERED]


@story
async def test_a_relay_that_cannot_be_found_is_passed_over() -> None:
    house = house_with_two_relays(Peer(), Peer())
    del house.world.peers["mx.first.test"]
    await house.submit("bob@there.test")

    await house.step()

    assert len(house.letters_to("second.test")) == 1


@story
async def test_what_a_relay_refuses_is_not_offered_to_the_next() -> None:
    house = house_with_two_relays(Peer({"bob": [LATER]}), Peer())
    await house.submit("bob@there.test")

    await house.step()

    assert house.kinds("bob@there.test") == [Kind.DEFERRED]
    assert house.letters_to("second.test") == []


@story
async def test_after_an_ambiguous_final_dot_no_other_relay_is_ever_asked() -> None:
    first = Peer(final=[None])
    house = house_with_two_relays(first, Peer())
    await house.submit("bob@there.test")
    await house.step()
    assert house.kinds("bob@there.test") == [Kind.DEFERRED]

    first.is_reachable = False
    await house.advance(HOUR)
    await house.advance(DAY)
    assert house.letters_to("second.test") == []
    first.is_reachable = True
    await house.advance(DAY)

    assert house.queued() == []
    assert house.letters_to("second.test") == []
    assert [letter.bound_to for letter in first.letters] == ["mx.first.test:25"]


@story
async def test_a_relay_that_is_gone_from_the_settings_binds_nobody() -> None:
    house = house_with_two_relays(Peer(final=[None]), Peer())
    await house.submit("bob@there.test")
    await house.step()

    house.relays[""] = ["mx.second.test"]
    await house.advance(HOUR)

    assert len(house.letters_to("second.test")) == 1
