"""What the hosts of a domain must prove before they get a message."""

from collections.abc import Mapping

from mta.model.domain import Answer, Finding, Mx, Tlsa, TlsDemand, TlsLevel
from mta.model.event import Kind
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict
from mta.model.request import MessageRequest

from mta.flow.delivery.slots import Room
from mta.flow.tls.assurance import Assurance, TlsPolicies

from tests.flow.house import House, Peer, story

NEEDS_TLS = MessageRequest(needs_tls=True)
WAIVES_TLS = MessageRequest(waives_tls=True)
BY_DANE = TlsDemand(TlsLevel.VERIFY, names=("mx.there.test",), tlsa=(Tlsa(3, 1, 1, b"0" * 32),))
BOGUS = Outcome(Verdict.DEFERRED, Reply(451, "bogus", 7, 5), Stage.LOOKUP, Scope.HOST)


class FakePolicies:
    """Says one thing of each host, and remembers what it was asked."""

    def __init__(self, said: Mapping[str, TlsDemand | Outcome] | None = None) -> None:
        self._said = said or {}
        self.asked: list[tuple[str, str, bool]] = []

    async def demand(
        self, host: str, domain: str, *, is_secure: bool
    ) -> TlsDemand | Outcome | None:
        self.asked.append((host, domain, is_secure))
        return self._said.get(host)


def house(peers: dict[str, Peer], *policies: TlsPolicies, room: Room | None = None) -> House:
    built = House(peers, room=room)
    built.assurance = Assurance(policies)
    return built


@story
async def test_what_a_domain_publishes_is_asked_of_its_host() -> None:
    peer = Peer(has_good_certificate=True)
    policies = FakePolicies({"mx.there.test": BY_DANE})
    built = house({"there.test": peer}, policies)
    built.world.mx_answers["there.test"] = Answer(
        Finding.RECORDS, (Mx(10, "mx.there.test"),), is_secure=True
    )
    await built.submit("bob@there.test")

    await built.step()

    assert peer.opened == [BY_DANE]
    assert policies.asked == [("mx.there.test", "there.test", True)]


@story
async def test_of_two_policies_the_first_that_says_something_counts() -> None:
    peer = Peer(has_good_certificate=True)
    silent, later = (
        FakePolicies(),
        FakePolicies({"mx.there.test": TlsDemand(TlsLevel.REQUIRED)}),
    )
    built = house({"there.test": peer}, silent, FakePolicies({"mx.there.test": BY_DANE}), later)
    await built.submit("bob@there.test")

    await built.step()

    assert peer.opened == [BY_DANE]
    assert (len(silent.asked), len(later.asked)) == (1, 0)


@story
async def test_a_host_that_may_get_nothing_now_is_passed_over() -> None:
    first, second = Peer(), Peer()
    built = house({"one.test": first, "two.test": second}, FakePolicies({"mx.one.test": BOGUS}))
    hosts = (Mx(10, "mx.one.test"), Mx(20, "mx.two.test"))
    built.world.mx_answers["there.test"] = Answer(Finding.RECORDS, hosts)
    await built.submit("bob@there.test")

    await built.step()

    assert (len(first.letters), len(second.letters)) == (0, 1)


@story
async def test_mail_waits_where_no_host_may_get_any_now() -> None:
    peer = Peer()
    built = house({"there.test": peer}, FakePolicies({"mx.there.test": BOGUS}))
    await built.submit("bob@there.test")

    await built.step()

    assert peer.opened == []
    assert built.kinds("bob@there.test") == [Kind.DEFERRED]


@story
async def test_an_unmet_publication_is_never_gone_around_in_clear() -> None:
    peer = Peer(breaks_tls=True)
    built = house(
        {"there.test": peer}, FakePolicies({"mx.there.test": TlsDemand(TlsLevel.REQUIRED)})
    )
    await built.submit("bob@there.test")

    await built.step()

    assert [demand.level for demand in peer.opened] == [TlsLevel.REQUIRED]
    assert peer.letters == []
    assert built.kinds("bob@there.test") == [Kind.DEFERRED]


@story
async def test_a_sender_may_waive_what_is_published_and_then_nobody_asks() -> None:
    peer = Peer()
    policies = FakePolicies({"mx.there.test": BOGUS})
    built = house({"there.test": peer}, policies)
    await built.submit("bob@there.test", request=WAIVES_TLS)

    await built.step()

    assert [demand.level for demand in peer.opened] == [TlsLevel.OPPORTUNISTIC]
    assert len(peer.letters) == 1
    assert policies.asked == []


@story
async def test_a_connection_of_mail_that_waived_is_not_shared_by_mail_that_did_not() -> None:
    peer = Peer(has_good_certificate=True)
    one = Room(100, 1, 100)
    built = house({"there.test": peer}, FakePolicies({"mx.there.test": BY_DANE}), room=one)
    for request in (WAIVES_TLS, MessageRequest(), WAIVES_TLS):
        await built.submit("bob@there.test", request=request)

    await built.step()

    assert [demand.level for demand in peer.opened] == [TlsLevel.OPPORTUNISTIC, TlsLevel.VERIFY]
    assert peer.sessions[0].closed.is_set()
    assert len(peer.letters) == 3


@story
async def test_what_requires_tls_goes_to_a_stranger_whom_a_signed_answer_names() -> None:
    peer = Peer(has_good_certificate=True, keeps_tls=True)
    built = house({"elsewhere.test": peer})
    built.world.mx_answers["there.test"] = Answer(
        Finding.RECORDS, (Mx(10, "mx.elsewhere.test"),), is_secure=True
    )
    await built.submit("bob@there.test", request=NEEDS_TLS)

    await built.step()

    assert [demand.level for demand in peer.opened] == [TlsLevel.VERIFY]
    assert len(peer.letters) == 1
