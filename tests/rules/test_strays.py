"""Mail whose route is gone from the settings."""

from mta.model.address import Address
from mta.model.envelope import Envelope, MessageId, Recipient, State

from mta.rules.routes.strays import strays


def recipient(route: str, state: State = State.WAITING) -> Recipient:
    return Recipient(Address("bob", "there.test"), state, route=route)


def test_who_waits_for_a_route_that_is_gone_is_counted() -> None:
    envelopes = [
        Envelope(
            MessageId("m1"), None, (recipient("gone"), recipient("here"), recipient("")), 0, 0
        ),
        Envelope(MessageId("m2"), None, (recipient("gone"), recipient("gone", State.FAILED)), 0, 0),
    ]

    assert strays(envelopes, {"here"}) == {"gone": 2}
    assert strays(envelopes, {"here", "gone"}) == {}
