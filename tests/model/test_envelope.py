"""What is owed for a message, and when nothing is any more."""

import pytest

from mta.model.address import parse_address
from mta.model.envelope import Destination, Envelope, MessageId, Recipient, Road, State

ANN, BOB, CAT = (
    Recipient(parse_address(f"{name}@there.test"), next_at=100.0) for name in ("ann", "bob", "cat")
)
ENVELOPE = Envelope(
    id=MessageId("m1"),
    sender=parse_address("eve@here.test"),
    recipients=(ANN, BOB, CAT),
    accepted_at=100.0,
    size=1_000,
)


def in_state(recipient: Recipient, state: State) -> Recipient:
    return Recipient(recipient.address, state)


@pytest.mark.parametrize(
    ("state", "is_settled"),
    [
        (State.WAITING, False),
        (State.DELIVERED, True),
        (State.FAILED, False),  # its sender has yet to be told
        (State.RELAYED, False),  # the same
        (State.REPORTED, True),
    ],
)
def test_a_recipient_is_settled_once_nothing_is_owed_to_anybody(
    state: State, is_settled: bool
) -> None:
    assert in_state(ANN, state).is_settled is is_settled


def test_a_message_is_settled_with_the_last_of_its_recipients() -> None:
    delivered, reported = in_state(ANN, State.DELIVERED), in_state(BOB, State.REPORTED)
    almost = ENVELOPE.with_recipients({0: delivered, 1: reported})

    assert not almost.is_settled
    assert almost.with_recipients({2: in_state(CAT, State.DELIVERED)}).is_settled


def test_recipients_are_exchanged_at_their_places_and_nothing_else_changes() -> None:
    delivered = in_state(BOB, State.DELIVERED)

    changed = ENVELOPE.with_recipients({1: delivered})

    assert changed.recipients == (ANN, delivered, CAT)
    assert (changed.id, changed.sender, changed.size) == (ENVELOPE.id, ENVELOPE.sender, 1_000)
    assert ENVELOPE.recipients == (ANN, BOB, CAT)


@pytest.mark.parametrize(
    ("destination", "shown"),
    [
        (Destination(Road.DIRECT, "there.test"), "there.test"),
        (Destination(Road.SMARTHOST, ""), "smarthost"),
        (Destination(Road.SMARTHOST, "", "office"), "office"),
        (Destination(Road.DIRECT, "there.test", "office"), "there.test"),
    ],
)
def test_a_destination_is_called_by_its_domain_its_route_or_its_road(
    destination: Destination, shown: str
) -> None:
    assert str(destination) == shown
