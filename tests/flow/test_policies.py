"""Policies of domains: when they are asked for, what holds when they cannot be had."""

import asyncio
import logging
from dataclasses import dataclass, field

import pytest

from mta.model.domain import Answer, Finding, TlsFailure
from mta.model.policy import HeldPolicy, StsMode, StsPolicy, Unreached

from mta.flow.ports import Texts, Web
from mta.flow.tls.policies import MAX_DOMAINS, RECHECK, RETRY, Policies, Published

from tests.flow.house import DAY, START, story

WEEK = 7 * DAY
MX = ("mx.there.test",)
ENFORCE = StsPolicy(StsMode.ENFORCE, MX, 604_800)
TEXT = b"version: STSv1\nmode: enforce\nmx: mx.there.test\nmax_age: 604800\n"
SILENT = Unreached("no answer within 60 s")


def text_of(policy: StsPolicy) -> bytes:
    lines = ["version: STSv1", f"mode: {policy.mode}", f"max_age: {policy.max_age}"]
    return "\n".join([*lines, *(f"mx: {pattern}" for pattern in policy.mx)]).encode()


@dataclass
class Domain:
    """There.test, which publishes what it likes: an `id` in the DNS, and a `text` on its host."""

    id: str | None = "1"
    text_: bytes | Unreached = TEXT
    is_silent: bool = False  # in the DNS
    queries: int = 0
    fetches: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None  # fetches wait for it

    async def txt(self, name: str) -> Answer[str]:
        assert name == "_mta-sts.there.test"
        self.queries += 1
        if self.is_silent:
            return Answer(Finding.UNKNOWN, text="no answer")
        if self.id is None:
            return Answer(Finding.NO_NAME)
        return Answer(Finding.RECORDS, (f"v=STSv1; id={self.id};",))

    async def text(self, host: str, path: str, *, limit: int) -> bytes | Unreached:
        assert limit == 65_536
        self.fetches.append(host + path)
        if self.gate is not None:
            await self.gate.wait()
        return self.text_

    async def post(self, url: str, content: bytes, content_type: str) -> Unreached | None:
        raise NotImplementedError


class Scene:
    """Somebody who sends to there.test now and then."""

    def __init__(self, domain: Domain) -> None:
        self.now = START
        self.domain = domain
        self.withdrawn: list[str] = []
        self.policies = self.born()

    def born(self) -> Policies:
        texts: Texts = self.domain
        web: Web = self.domain
        return Policies(
            texts=texts, web=web, clock=lambda: self.now, on_relaxed=self.withdrawn.append
        )

    def restarted(self) -> None:
        kept = self.policies.changed()
        self.policies = self.born()
        self.policies.restore(kept or {})

    async def found(self, after: float = 0.0) -> Published:
        self.now += after
        return await self.policies.of("there.test")


@story
async def test_a_domain_without_a_policy_costs_a_query_now_and_then() -> None:
    scene = Scene(Domain(id=None))

    assert await scene.found() == Published()
    assert await scene.found(RECHECK - 1) == Published()
    assert (scene.domain.queries, scene.domain.fetches) == (1, [])

    await scene.found(2)
    assert scene.domain.queries == 2


@story
async def test_a_policy_is_fetched_once_and_kept() -> None:
    scene = Scene(Domain())

    for _ in range(20):
        assert await scene.found(3600) == Published(ENFORCE)

    assert scene.domain.fetches == ["mta-sts.there.test/.well-known/mta-sts.txt"]


@story
async def test_many_who_want_the_same_policy_fetch_it_once() -> None:
    scene = Scene(Domain(gate=asyncio.Event()))

    wanting = [asyncio.create_task(scene.found()) for _ in range(10)]
    await asyncio.sleep(0)
    wanting[0].cancel()  # and who gives up takes it from nobody
    assert scene.domain.gate is not None
    scene.domain.gate.set()
    found = await asyncio.gather(*wanting[1:])

    assert found == [Published(ENFORCE)] * 9
    assert len(scene.domain.fetches) == 1


@story
async def test_another_id_brings_another_policy() -> None:
    scene = Scene(Domain())
    await scene.found()
    other = StsPolicy(StsMode.TESTING, ("other.there.test",), 86_400)

    scene.domain.id, scene.domain.text_ = "2", text_of(other)

    assert await scene.found(RECHECK) == Published(other)


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        (SILENT, TlsFailure.STS_POLICY_FETCH_ERROR),
        (Unreached("wrong name", is_certificate=True), TlsFailure.STS_WEBPKI_INVALID),
        (b"<html>", TlsFailure.STS_POLICY_INVALID),
    ],
)
def test_a_policy_that_cannot_be_had_is_none_for_a_while(
    text: bytes | Unreached, trouble: TlsFailure
) -> None:
    @story
    async def told() -> None:
        scene = Scene(Domain(text_=text))

        found = await scene.found()
        await scene.found(RECHECK - 1)

        assert (found.policy, found.trouble) == (None, trouble)
        assert len(scene.domain.fetches) == 1

        scene.domain.text_ = text_of(ENFORCE)
        assert await scene.found(1) == Published(ENFORCE)

    told()


@pytest.mark.parametrize("text", [SILENT, b"<html>"])
def test_a_policy_that_is_held_counts_where_the_next_cannot_be_had(text: bytes | Unreached) -> None:
    @story
    async def told() -> None:
        scene = Scene(Domain())
        await scene.found()

        scene.domain.id, scene.domain.text_ = "2", text

        assert await scene.found(DAY) == Published(ENFORCE)
        assert await scene.found(RETRY - 1) == Published(ENFORCE)
        assert len(scene.domain.fetches) == 2

        assert await scene.found(1) == Published(ENFORCE)
        assert len(scene.domain.fetches) == 3

    told()


@story
async def test_a_record_that_is_gone_takes_no_policy_away() -> None:
    scene = Scene(Domain())
    await scene.found()

    scene.domain.id = None
    assert await scene.found(DAY) == Published(ENFORCE)
    scene.domain.is_silent = True
    assert await scene.found(DAY) == Published(ENFORCE)


@story
async def test_a_policy_ends_at_its_max_age() -> None:
    scene = Scene(Domain())
    await scene.found()
    scene.domain.id, scene.domain.text_ = None, SILENT

    assert await scene.found(WEEK - 10) == Published(ENFORCE)
    assert await scene.found(10) == Published()


@story
async def test_a_policy_outlives_a_restart() -> None:
    scene = Scene(Domain())
    await scene.found()
    scene.domain.is_silent, scene.domain.text_ = True, SILENT

    scene.restarted()

    assert await scene.found(DAY) == Published(ENFORCE)


@story
async def test_a_policy_is_renewed_before_its_end_behind_the_mail() -> None:
    scene = Scene(Domain())
    await scene.found()

    for _ in range(21):  # with mail only once in ten days
        scene.now += DAY
        await scene.policies.renew_due()
        if _ % 10 == 9:
            assert await scene.found() == Published(ENFORCE)

    assert len(scene.domain.fetches) == 22


@story
async def test_a_renewal_is_tried_when_the_record_is_gone_too() -> None:
    scene = Scene(Domain())
    await scene.found()
    scene.domain.id = None

    scene.now += DAY
    await scene.policies.renew_due()

    assert await scene.found(WEEK - 1) == Published(ENFORCE)


def test_a_renewal_that_fails_is_told_of_and_tried_again_in_an_hour(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @story
    async def told() -> None:
        scene = Scene(Domain())
        await scene.found()
        scene.domain.text_ = SILENT

        scene.now += DAY
        await scene.policies.renew_due()
        scene.now += RETRY - 1
        await scene.policies.renew_due()
        assert len(scene.domain.fetches) == 2

        scene.now += 1
        await scene.policies.renew_due()
        assert len(scene.domain.fetches) == 3

    with caplog.at_level(logging.WARNING):
        told()

    assert "the MTA-STS policy of there.test cannot be renewed" in caplog.text
    assert "no answer within 60 s" in caplog.text


@story
async def test_what_is_out_of_use_is_not_renewed() -> None:
    scene = Scene(Domain(text_=text_of(StsPolicy(StsMode.ENFORCE, MX, 31_557_600))))
    await scene.found()

    for _ in range(60):
        scene.now += DAY
        await scene.policies.renew_due()

    assert len(scene.domain.fetches) == 30


@story
async def test_a_domain_may_withdraw_its_policy() -> None:
    scene = Scene(Domain())
    await scene.found()
    assert scene.withdrawn == []

    scene.domain.id, scene.domain.text_ = "2", text_of(StsPolicy(StsMode.NONE, (), 86_400))

    assert await scene.found(RECHECK) == Published()
    assert scene.withdrawn == ["there.test"]
    await scene.found(RECHECK)
    assert len(scene.domain.fetches) == 2  # and is believed for as long as it said


@story
async def test_an_empty_lifetime_is_no_policy() -> None:
    scene = Scene(Domain(text_=text_of(StsPolicy(StsMode.ENFORCE, MX, 0))))

    await scene.found()
    scene.domain.text_ = SILENT

    assert (await scene.found(RECHECK)).policy is None


@story
async def test_only_so_many_policies_are_held() -> None:
    scene = Scene(Domain())
    many = {f"d{n}.test": HeldPolicy(ENFORCE, "1", START, START) for n in range(MAX_DOMAINS + 5)}

    scene.policies.restore(many)
    await scene.found()

    kept = scene.policies.changed()
    assert kept is not None
    assert len(kept) == MAX_DOMAINS
    assert "d5.test" not in kept
    assert "d6.test" in kept


@story
async def test_only_so_much_policy_is_held() -> None:
    scene = Scene(Domain())
    heavy = StsPolicy(StsMode.ENFORCE, tuple(f"{n:0200}.test" for n in range(500)), 604_800)

    scene.policies.restore({f"d{n}.test": HeldPolicy(heavy, "1", START, START) for n in range(200)})
    await scene.found()

    kept = scene.policies.changed()
    assert kept is not None
    assert sum(len(pattern) for held in kept.values() for pattern in held.policy.mx) <= 8 << 20
