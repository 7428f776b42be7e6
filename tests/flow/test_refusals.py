"""What a refusal means, from the attempt to the events."""

from mta.model.event import Kind
from mta.model.outcome import Reply
from mta.model.ruling import Cause, Response

from mta.rules.refusals.classify import Table
from mta.rules.refusals.pattern import Rule

from tests.flow.house import OK, UNKNOWN, House, Peer, story

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
