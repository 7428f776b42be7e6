"""A peer that says how much it takes (RFC 9422)."""

from mta.model.event import Kind

from mta.rules.delivery.limits import Limits
from mta.rules.delivery.progress import Mode

from tests.flow.house import House, Peer, story


def sizes(peer: Peer) -> list[int]:
    return [len(letter.recipients) for letter in peer.letters]


@story
async def test_a_transaction_has_no_more_recipients_than_the_peer_takes() -> None:
    peer = Peer(limits=Limits(recipients=2))
    house = House({"there.test": peer})
    await house.submit(*(f"user{number}@there.test" for number in range(5)))

    await house.step()

    assert sizes(peer) == [2, 2, 1]
    assert len(peer.sessions) == 1
    assert house.queued() == []


@story
async def test_a_session_that_is_used_up_is_followed_by_another_to_the_same_host() -> None:
    peer = Peer(limits=Limits(mails=1, recipients=2))
    house = House({"there.test": peer})
    await house.submit(*(f"user{number}@there.test" for number in range(5)))

    await house.step()

    assert sizes(peer) == [2, 2, 1]
    assert len(peer.sessions) == 3
    assert all(session.closed.is_set() for session in peer.sessions)
    assert Kind.DEFERRED not in house.kinds()


@story
async def test_a_session_has_no_more_domains_than_the_smarthost_takes() -> None:
    peer = Peer(limits=Limits(domains=1))
    house = House({"relay.test": peer}, mode=Mode.SMARTHOST)
    await house.submit("a@one.test", "b@two.test", "c@one.test", "d@two.test")

    await house.step()

    assert sizes(peer) == [2, 2]
    assert len(peer.sessions) == 2
    assert house.queued() == []
