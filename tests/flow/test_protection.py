"""Mail to domains with MTA-STS policies, and what is remembered of their TLS."""

from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from mta.model.domain import Answer, Finding, Mx, TlsFailure, TlsLevel
from mta.model.event import Kind
from mta.model.policy import StsMode, StsPolicy, Unreached
from mta.model.request import MessageRequest
from mta.model.tlsreport import PolicyKind

from mta.rules.tls.memory import MemoryTerms, TlsMemory
from mta.rules.tls.tally import Tally

from mta.flow.tls.assurance import Assurance
from mta.flow.tls.policies import Policies
from mta.flow.tls.tlsrecord import TlsRecord

from tests.flow.house import DAY, HOUR, House, Peer, story
from tests.flow.test_policies import text_of

ENFORCE = StsPolicy(StsMode.ENFORCE, ("mx.there.test",), 604_800)
TESTING = StsPolicy(StsMode.TESTING, ("mx.there.test",), 604_800)
ELSEWHERE = StsPolicy(StsMode.ENFORCE, ("mx.elsewhere.test",), 604_800)
NONE = StsPolicy(StsMode.NONE, (), 86_400)
NEVER_IN_CLEAR = (TlsLevel.REQUIRED, TlsLevel.VERIFY)


class Street:
    """A house, and the policies that domains publish; one that has none says so."""

    def __init__(
        self,
        peers: Mapping[str, Peer],
        policies: Mapping[str, StsPolicy | Unreached] | None = None,
        *,
        tries_testing: bool = False,
    ) -> None:
        self.policies = dict(policies or {})
        self.id = 1
        self.house = House(peers)
        self.memory = TlsMemory(MemoryTerms(levels=3 * DAY, handshakes=3 * DAY))
        self.tally = Tally()
        known = Policies(texts=self, web=self, clock=self.house.clock, on_relaxed=self.memory.relax)
        record = TlsRecord(
            policies=known,
            memory=self.memory,
            tally=self.tally,
            events=self.house.events,
            clock=self.house.clock,
            tries_testing=tries_testing,
        )
        self.house.assurance = Assurance([known], record=record)

    async def txt(self, name: str) -> Answer[str]:
        if name.removeprefix("_mta-sts.") not in self.policies:
            return Answer(Finding.NO_NAME)
        return Answer(Finding.RECORDS, (f"v=STSv1; id={self.id};",))

    async def text(self, host: str, path: str, *, limit: int) -> bytes | Unreached:
        policy = self.policies[host.removeprefix("mta-sts.")]
        return policy if isinstance(policy, Unreached) else text_of(policy)

    async def post(self, url: str, content: bytes, content_type: str) -> Unreached | None:
        raise NotImplementedError

    async def send(self, request: MessageRequest | None = None) -> None:
        await self.house.submit("bob@there.test", request=request or MessageRequest())
        await self.house.step()

    def publish(self, policy: StsPolicy) -> None:
        self.id += 1
        self.policies["there.test"] = policy

    @property
    def peer(self) -> Peer:
        return self.house.peers["there.test"]

    @property
    def levels(self) -> list[TlsLevel]:
        """What was asked of each connection."""
        return [demand.level for demand in self.peer.opened]

    def counts(self) -> dict[PolicyKind, tuple[int, dict[TlsFailure, int]]]:
        """Successes and failures under each policy of there.test."""
        found: dict[PolicyKind, tuple[int, dict[TlsFailure, int]]] = {}
        for one in self.tally.counted:
            failures: Counter[TlsFailure] = Counter()
            for failing, count in one.failures:
                failures[failing.kind] += count
            found[one.applied.kind] = (one.successes, dict(failures))
        return found


def good() -> Peer:
    return Peer(has_good_certificate=True)


def broken() -> Peer:
    return Peer(breaks_tls=True)


@story
async def test_a_host_that_the_policy_lists_must_prove_its_name() -> None:
    street = Street({"there.test": good()}, {"there.test": ENFORCE})

    await street.send()

    assert street.levels == [TlsLevel.VERIFY]
    assert len(street.peer.letters) == 1
    assert street.counts() == {PolicyKind.STS: (1, {})}


@story
async def test_a_host_that_the_policy_does_not_list_gets_nothing() -> None:
    street = Street({"there.test": good()}, {"there.test": ELSEWHERE})

    await street.send()

    assert street.levels == []
    (deferred,) = [event for event in street.house.events if event.kind is Kind.DEFERRED]
    assert deferred.reply is not None
    assert deferred.reply.text == "the MTA-STS policy of there.test does not list mx.there.test"
    assert street.counts() == {PolicyKind.STS: (0, {TlsFailure.VALIDATION_FAILURE: 1})}


@story
async def test_a_host_that_is_not_listed_is_passed_over_for_one_that_is() -> None:
    street = Street({"there.test": good(), "evil.test": good()}, {"there.test": ENFORCE})
    street.house.world.mx_answers["there.test"] = Answer(
        Finding.RECORDS, (Mx(1, "mx.evil.test"), Mx(2, "mx.there.test"))
    )

    await street.send()

    assert street.house.peers["evil.test"].opened == []
    assert len(street.peer.letters) == 1


@pytest.mark.parametrize("peer", [Peer, broken], ids=["wrong certificate", "broken"])
def test_under_an_enforced_policy_nothing_goes_unproven(peer: Callable[[], Peer]) -> None:
    @story
    async def told() -> None:
        street = Street({"there.test": peer()}, {"there.test": ENFORCE})

        await street.send()

        assert street.levels == [TlsLevel.VERIFY]
        assert street.peer.letters == []
        assert street.house.kinds("bob@there.test") == [Kind.DEFERRED]
        assert street.counts() == {PolicyKind.STS: (0, {TlsFailure.VALIDATION_FAILURE: 1})}

    told()


@story
async def test_a_policy_in_testing_mode_stops_nothing() -> None:
    street = Street({"there.test": Peer()}, {"there.test": TESTING})

    await street.send()

    assert street.levels == [TlsLevel.OPPORTUNISTIC]
    assert len(street.peer.letters) == 1


@pytest.mark.parametrize(
    ("peer", "levels", "counted"),
    [
        (good, [TlsLevel.VERIFY], (1, {})),
        (
            Peer,
            [TlsLevel.VERIFY, TlsLevel.OPPORTUNISTIC],
            (0, {TlsFailure.VALIDATION_FAILURE: 1}),
        ),
        (
            broken,
            [TlsLevel.VERIFY, TlsLevel.OPPORTUNISTIC, TlsLevel.NONE],
            (0, {TlsFailure.VALIDATION_FAILURE: 3}),
        ),
    ],
    ids=["right", "wrong certificate", "broken"],
)
def test_who_reports_tries_a_policy_in_testing_mode(
    peer: Callable[[], Peer],
    levels: list[TlsLevel],
    counted: tuple[int, dict[TlsFailure, int]],
) -> None:
    @story
    async def told() -> None:
        street = Street({"there.test": peer()}, {"there.test": TESTING}, tries_testing=True)

        await street.send()

        assert street.levels == levels
        assert len(street.peer.letters) == 1
        assert street.counts() == {PolicyKind.STS: counted}

    told()


@story
async def test_who_reports_counts_a_host_that_a_tested_policy_does_not_list() -> None:
    other = StsPolicy(StsMode.TESTING, ("mx.elsewhere.test",), 604_800)
    street = Street({"there.test": good()}, {"there.test": other}, tries_testing=True)

    await street.send()

    assert street.levels == [TlsLevel.OPPORTUNISTIC]
    assert len(street.peer.letters) == 1
    assert street.counts() == {PolicyKind.STS: (0, {TlsFailure.VALIDATION_FAILURE: 1})}


@story
async def test_a_policy_that_cannot_be_fetched_stops_nothing_and_is_counted() -> None:
    street = Street({"there.test": Peer()}, {"there.test": Unreached("no answer")})

    await street.send()

    assert len(street.peer.letters) == 1
    assert street.counts() == {PolicyKind.STS: (0, {TlsFailure.STS_POLICY_FETCH_ERROR: 1})}


@story
async def test_what_requires_tls_may_go_to_a_stranger_whom_the_policy_lists() -> None:
    street = Street({"elsewhere.test": Peer(has_good_certificate=True, keeps_tls=True)})
    street.policies["there.test"] = ELSEWHERE
    street.house.world.mx_answers["there.test"] = Answer(
        Finding.RECORDS, (Mx(1, "mx.elsewhere.test"),)
    )

    await street.send(MessageRequest(needs_tls=True))

    assert len(street.house.peers["elsewhere.test"].letters) == 1


@story
async def test_a_sender_may_waive_a_policy_and_then_nothing_is_counted() -> None:
    street = Street({"there.test": Peer()}, {"there.test": ENFORCE})

    await street.send(MessageRequest(waives_tls=True))

    assert street.levels == [TlsLevel.OPPORTUNISTIC]
    assert len(street.peer.letters) == 1
    assert street.counts() == {}


@story
async def test_tls_without_a_policy_is_counted_too() -> None:
    street = Street({"there.test": Peer()})

    await street.send()

    assert street.counts() == {PolicyKind.NONE: (1, {})}


@story
async def test_a_broken_handshake_is_remembered_and_tried_again_after_days() -> None:
    street = Street({"there.test": broken()})

    await street.send()
    for _ in range(3):
        street.house.now += HOUR
        await street.send()
    assert street.levels == [TlsLevel.OPPORTUNISTIC, *[TlsLevel.NONE] * 4]
    (event_,) = [event for event in street.house.events if event.kind is Kind.TLS_BROKEN]
    assert event_.host is not None
    assert event_.host.name == "mx.there.test"

    street.house.now += 3 * DAY
    await street.send()

    assert street.levels[5:] == [TlsLevel.OPPORTUNISTIC, TlsLevel.NONE]
    assert len(street.peer.letters) == 5


@story
async def test_a_broken_handshake_never_weakens_a_policy() -> None:
    street = Street({"there.test": broken()})
    await street.send()
    street.publish(ENFORCE)
    street.house.now += HOUR

    await street.send()

    assert street.levels == [TlsLevel.OPPORTUNISTIC, TlsLevel.NONE, TlsLevel.VERIFY]
    assert len(street.peer.letters) == 1


@story
async def test_a_domain_that_had_tls_gets_nothing_in_clear_for_days() -> None:
    street = Street({"there.test": Peer()})
    await street.send()
    street.peer.breaks_tls = True

    for _ in range(3):
        street.house.now += HOUR
        await street.send()

    assert all(level in NEVER_IN_CLEAR for level in street.levels[1:])
    assert len(street.peer.letters) == 1
    lost = [event for event in street.house.events if event.kind is Kind.TLS_LOST]
    assert len(lost) == 3  # once an hour
    assert lost[0].text == "there.test had TLS, and mx.there.test has none that will do"
    assert lost[0].next_at == lost[0].at + 3 * DAY - HOUR
    last = [event for event in street.house.events if event.kind is Kind.DEFERRED][-1]
    assert last.reply is not None
    assert last.reply.text.startswith("there.test had TLS, and mx.there.test has none")

    await street.house.advance(3 * DAY)

    assert len(street.peer.letters) == 4


@story
async def test_a_domain_that_has_its_tls_again_gets_what_waited() -> None:
    street = Street({"there.test": Peer()})
    await street.send()
    street.peer.breaks_tls = True
    await street.send()
    street.peer.breaks_tls = False

    await street.house.advance(HOUR)

    assert len(street.peer.letters) == 2


@story
async def test_a_proof_is_asked_for_when_the_policy_is_gone() -> None:
    short = StsPolicy(StsMode.ENFORCE, ("mx.there.test",), 7_200)
    street = Street({"there.test": good()}, {"there.test": short})
    await street.send()
    del street.policies["there.test"]
    street.peer.has_good_certificate = False
    street.house.now += 3 * HOUR

    await street.send()

    assert street.levels == [TlsLevel.VERIFY, TlsLevel.VERIFY]
    assert len(street.peer.letters) == 1


@pytest.mark.parametrize("policy", [NONE, TESTING])
def test_a_domain_that_withdraws_its_policy_need_prove_nothing(policy: StsPolicy) -> None:
    @story
    async def told() -> None:
        street = Street({"there.test": good()}, {"there.test": ENFORCE})
        await street.send()
        street.publish(policy)
        street.peer.has_good_certificate = False
        street.house.now += HOUR

        await street.send()

        assert street.levels == [TlsLevel.VERIFY, TlsLevel.REQUIRED]
        assert len(street.peer.letters) == 2

    told()


@story
async def test_a_domain_that_was_let_go_gets_its_mail_in_clear() -> None:
    street = Street({"there.test": Peer()})
    await street.send()
    street.peer.breaks_tls = True

    street.memory.forget("there.test")
    await street.send()

    assert len(street.peer.letters) == 2
