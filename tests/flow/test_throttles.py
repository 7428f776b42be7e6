"""A site that complains is sent less, one that wants peace is left alone; others do not notice."""

import asyncio
from itertools import pairwise

from mta.model.envelope import Reason
from mta.model.event import Event, Kind
from mta.model.outcome import Reply

from mta.rules.delivery.progress import Mode
from mta.rules.pacing.limits import DAY, Pacing, SiteChanges, WarmUp

from mta.flow.delivery.slots import Room

from tests.flow.house import HOUR, MINUTE, OK, House, Peer, story

SLOW_DOWN = Reply(421, "unusual rate of unsolicited mail, temporarily rate limited", 7, 28)
LEAVE_ME = Reply(421, "[TSS04] Messages temporarily deferred due to user complaints", 7, 0)


def narrow(peers: dict[str, Peer], **changes: SiteChanges) -> House:
    return House(peers, room=Room(100, 10, 100, pacing=Pacing(changes)))


def throttles(house: House) -> list[tuple[str | None, str | None]]:
    return [(each.site, each.text) for each in house.events if each.kind is Kind.THROTTLED]


def delivered_at(house: House) -> list[float]:
    return [event.at for event in house.events if event.kind is Kind.DELIVERED]


async def pass_time(house: House, seconds: float, step: float = 5.0) -> None:
    for _ in range(int(seconds / step)):
        await house.advance(step)


@story
async def test_a_complaint_about_our_rate_makes_all_mail_for_that_site_slower() -> None:
    peer = Peer(replies={"first": [SLOW_DOWN, OK]})
    house = narrow({"gmail.test": peer})
    house.sites["gmail.test"] = "google"
    await house.submit("first@gmail.test")
    await house.step()

    for number in range(30):
        await house.submit(f"bob{number}@gmail.test")
    await pass_time(house, 10 * MINUTE)

    assert throttles(house)[0] == ("google", "1/min")
    assert len(peer.letters) in (9, 10)
    gaps = [after - before for before, after in pairwise(delivered_at(house))]
    assert min(gaps) >= 55


@story
async def test_a_rate_recovers_and_all_mail_arrives() -> None:
    peer = Peer(replies={"first": [SLOW_DOWN, OK]})
    house = narrow({"gmail.test": peer})
    house.sites["gmail.test"] = "google"
    await house.submit("first@gmail.test")
    await house.step()
    for number in range(60):
        await house.submit(f"bob{number}@gmail.test")

    await pass_time(house, 2 * HOUR, step=10)
    await house.submit("last@gmail.test")
    await house.step()

    assert len(peer.letters) == 62
    assert throttles(house)[-1] == ("google", "as much as there is")
    assert house.queued() == []


@story
async def test_a_site_that_wants_peace_is_left_in_peace_and_its_mail_says_why() -> None:
    peer = Peer(replies={"first": [LEAVE_ME, OK]})
    house = narrow({"one.test": peer, "two.test": Peer()})
    house.sites |= {"one.test": "yahoo", "two.test": "yahoo"}
    await house.submit("first@one.test")
    await house.step()
    await house.submit("bob@two.test")
    await house.step()

    assert len(peer.opened) == 1
    assert house.letters_to("two.test") == []
    assert throttles(house) == [("yahoo", "nothing")]
    last = [one.recipients[0].last for one in house.queued()]
    assert all(outcome is not None and "TSS04" in outcome.reply.text for outcome in last)


@story
async def test_a_site_that_was_left_in_peace_is_probed_with_one_message() -> None:
    peer = Peer(replies={"first": [LEAVE_ME, OK]})
    house = narrow({"one.test": peer})
    house.sites["one.test"] = "yahoo"
    await house.submit("first@one.test")
    await house.step()
    event = next(each for each in house.events if each.kind is Kind.THROTTLED)
    assert event.next_at is not None
    length = event.next_at - house.now
    for number in range(20):
        await house.submit(f"bob{number}@one.test")

    await pass_time(house, length - MINUTE, step=MINUTE)
    assert peer.letters == []
    peer.gate = asyncio.Event()
    house.now += 2 * MINUTE + length / 10
    await house.let_run()
    assert peer.under_way == 1

    peer.gate.set()
    await house.step()
    await pass_time(house, 12 * HOUR, step=MINUTE)
    assert len(peer.letters) == 21


@story
async def test_a_throttle_of_one_site_holds_no_other_mail() -> None:
    house = narrow({"slow.test": Peer(replies={"first": [SLOW_DOWN]}), "quick.test": Peer()})
    await house.submit("first@slow.test")
    await house.step()
    for number in range(200):
        await house.submit(f"bob{number}@slow.test", f"bob{number}@quick.test")

    await house.step()

    assert len(house.letters_to("quick.test")) == 200
    assert len(house.letters_to("slow.test")) <= 1


@story
async def test_the_domains_of_a_slow_site_take_turns() -> None:
    house = narrow({"one.test": Peer(), "two.test": Peer()}, shared=SiteChanges(per_hour=360))
    house.sites |= {"one.test": "shared", "two.test": "shared"}
    for number in range(100):
        await house.submit(f"bob{number}@one.test")
    for number in range(20):
        await house.submit(f"bob{number}@two.test")

    await pass_time(house, 6 * MINUTE, step=10)

    assert len(house.letters_to("two.test")) >= 15
    assert len(house.letters_to("one.test")) >= 15


@story
async def test_trouble_with_a_host_halves_the_connections_of_its_site() -> None:
    house = narrow({"dead.test": Peer(is_reachable=False)})
    await house.submit("bob@dead.test")

    await house.step()

    assert house.slots._sites["dead.test"].pace.window == 2.5
    assert throttles(house) == []


@story
async def test_what_is_about_a_recipient_slows_nobody() -> None:
    gone = Reply(550, "no such user", 1, 1)
    full = Reply(452, "mailbox full", 2, 2)
    house = narrow({"there.test": Peer(replies={"gone": [gone], "full": [full]})})
    await house.submit("gone@there.test", "full@there.test", "bob@there.test")

    await house.step()

    assert throttles(house) == []
    assert house.slots._sites["there.test"].pace.is_free


@story
async def test_mail_beyond_a_warm_ups_cap_waits_for_tomorrow() -> None:
    house = House({"there.test": Peer()})
    house.now = house.now // DAY * DAY + HOUR
    warm_up = WarmUp(house.now // DAY * DAY, (10, 20))
    pacing = Pacing({"there.test": SiteChanges(warm_up=warm_up)})
    house.slots.renew(Room(100, 10, 100, pacing=pacing))
    for number in range(40):
        await house.submit(f"bob{number}@there.test")

    await house.step()
    assert len(house.letters_to("there.test")) == 10
    assert throttles(house) == [("there.test", "nothing more today (warm-up)")]
    await pass_time(house, 22 * HOUR, step=HOUR)
    assert len(house.letters_to("there.test")) == 10
    await pass_time(house, 6 * HOUR, step=HOUR)
    assert len(house.letters_to("there.test")) == 30
    await pass_time(house, DAY, step=HOUR)
    assert len(house.letters_to("there.test")) == 40


@story
async def test_mail_beyond_a_warm_ups_cap_spills_to_the_smarthost_where_there_is_one() -> None:
    house = House({"there.test": Peer()}, mode=Mode.FALLBACK)
    warm_up = WarmUp(house.now // DAY * DAY, (10, 20))
    pacing = Pacing({"there.test": SiteChanges(warm_up=warm_up)})
    house.slots.renew(Room(100, 10, 100, pacing=pacing))
    for number in range(40):
        await house.submit(f"bob{number}@there.test")

    await house.step()

    assert len(house.letters_to("there.test")) == 10
    assert len(house.letters_to("relay.test")) == 30
    rerouted = [event for event in house.events if event.kind is Kind.REROUTED]
    assert {event.text for event in rerouted} == {Reason.WARM_UP}


@story
async def test_nothing_is_lost_and_nothing_slower_than_it_must_when_a_reload_ends_a_throttle() -> (
    None
):
    house = narrow({"there.test": Peer()}, **{"there.test": SiteChanges(per_hour=60)})
    for number in range(50):
        await house.submit(f"bob{number}@there.test")
    await house.step()
    assert len(house.letters_to("there.test")) < 5

    house.slots.renew(Room(100, 10, 100))
    house.dispatcher.reroute()
    await house.step()

    assert len(house.letters_to("there.test")) == 50
    assert house.queued() == []


def about(event: Event) -> tuple[str | None, str | None]:
    return event.rule, event.cause


@story
async def test_the_event_of_a_throttle_names_the_rule_and_the_peers_words() -> None:
    house = narrow({"one.test": Peer(replies={"first": [LEAVE_ME, OK]})})
    house.sites["one.test"] = "yahoo"
    await house.submit("first@one.test")

    await house.step()

    event = next(each for each in house.events if each.kind is Kind.THROTTLED)
    assert event.reply is not None
    assert "TSS04" in event.reply.text
    assert event.cause == "rate" or event.cause == "sender-blocked"
    assert event.rule is not None
    assert event.rule.startswith("yahoo")


@story
async def test_mail_that_a_slow_site_keeps_for_too_long_leaves_by_the_second_road() -> None:
    peer = Peer(replies={"first": [SLOW_DOWN, OK]})
    house = House({"there.test": peer}, mode=Mode.FALLBACK)
    await house.submit("first@there.test")
    await house.step()
    for number in range(200):
        await house.submit(f"bob{number}@there.test")

    await pass_time(house, 29 * MINUTE, step=30)
    assert house.letters_to("relay.test") == []
    direct = len(peer.letters)
    await pass_time(house, 3 * MINUTE, step=30)

    assert len(house.letters_to("relay.test")) > 150
    assert len(house.letters_to("relay.test")) + len(peer.letters) == 201
    assert 10 < direct < 60
    rerouted = {event.text for event in house.events if event.kind is Kind.REROUTED}
    assert rerouted == {Reason.RATE}
    assert house.queued() == []


@story
async def test_without_a_second_road_mail_waits_for_a_slow_site_however_long() -> None:
    peer = Peer(replies={"first": [SLOW_DOWN, OK]})
    house = House({"there.test": peer})
    await house.submit("first@there.test")
    await house.step()
    for number in range(50):
        await house.submit(f"bob{number}@there.test")

    await pass_time(house, 3 * HOUR, step=30)

    assert len(peer.letters) == 51
