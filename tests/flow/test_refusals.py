"""What a refusal means, from the attempt to the events."""

import asyncio

import pytest

from mta.model.event import Kind
from mta.model.outcome import Reply
from mta.model.ruling import Cause, Response

from mta.rules.delivery.progress import Mode
from mta.rules.refusals.classify import Table
from mta.rules.refusals.pattern import Rule

from tests.flow.house import DAY, HOUR, OK, UNKNOWN, House, Peer, story

LISTED = Reply(550, "192.0.2.9 is listed by spamhaus", 7, 1)
GONE_FOR_NOW = Reply(450, "who is that?", 1, 1)


@story
async def test_an_event_names_the_cause_of_a_refusal_and_its_rule() -> None:
    house = House({"there.test": Peer(replies={"bob": [UNKNOWN], "cay": [OK]})})
    await house.submit("bob@there.test", "cay@there.test")

    await house.step()

    (failed,) = [event for event in house.events if event.kind is Kind.FAILED]
    assert (failed.cause, failed.rule) == (Cause.RECIPIENT_GONE, "no-such-user")
    assert next(event.cause for event in house.events if event.kind is Kind.DELIVERED) is None


@story
async def test_what_no_peer_said_has_a_cause_too() -> None:
    house = House({"there.test": Peer(is_reachable=False)})
    await house.submit("bob@there.test")

    await house.step()

    (deferred,) = [event for event in house.events if event.kind is Kind.DEFERRED]
    assert (deferred.cause, deferred.rule) == (Cause.NETWORK, "our-network")


@story
async def test_a_rule_may_fail_what_its_code_would_have_tried_again() -> None:
    rule = Rule(
        id="gone",
        cause=Cause.RECIPIENT_GONE,
        response=Response.FAIL,
        status="4.1.1",
        site="there.test",
    )
    house = House({"there.test": Peer(replies={"bob": [GONE_FOR_NOW]})}, refusals=Table((rule,)))
    await house.submit("bob@there.test")

    await house.step()

    assert house.kinds("bob@there.test") == [Kind.FAILED]
    (report,) = house.letters_to("sender.test")
    assert b"450 4.1.1 who is that?" in report.content


@story
async def test_mail_that_is_refused_for_our_sake_is_kept_and_goes_when_that_is_mended() -> None:
    peer = Peer(replies={"bob": [LISTED, LISTED, OK]})
    house = House({"there.test": peer}, hold_for=DAY)
    await house.submit("bob@there.test")

    await house.step()
    await house.advance(HOUR / 2)
    kinds = house.kinds("bob@there.test")
    await house.advance(HOUR)
    await house.advance(HOUR)

    assert kinds == [Kind.HELD]
    assert house.kinds("bob@there.test") == [Kind.HELD, Kind.HELD, Kind.DELIVERED]
    assert house.queued() == []


@story
async def test_what_is_held_too_long_fails_by_what_was_said_last() -> None:
    house = House({"there.test": Peer(replies={"bob": [LISTED]})}, hold_for=2.5 * HOUR)
    await house.submit("bob@there.test")

    await house.step()
    for _ in range(4):
        await house.advance(HOUR)

    assert house.kinds("bob@there.test") == [*[Kind.HELD] * 3, Kind.FAILED]
    assert house.letters_to("sender.test")


@story
async def test_a_blocked_address_has_the_second_road_before_mail_is_held() -> None:
    house = House({"there.test": Peer(replies={"bob": [LISTED]})}, mode=Mode.FALLBACK, hold_for=DAY)
    await house.submit("bob@there.test")

    await house.step()

    assert house.kinds("bob@there.test") == [Kind.REROUTED, Kind.DELIVERED]


def test_an_operator_hears_of_it_once_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> list[int]:
        peer = Peer(replies={"bob": [LISTED], "cay": [LISTED]})
        house = House({"there.test": peer}, hold_for=DAY)
        await house.submit("bob@there.test")
        await house.submit("cay@there.test")
        await house.step()
        first = len(caplog.records)
        await house.advance(2 * HOUR)
        return [first, len(caplog.records)]

    assert asyncio.run(scene()) == [1, 2]
    assert "mta explain --rule spamhaus" in caplog.records[0].getMessage()
