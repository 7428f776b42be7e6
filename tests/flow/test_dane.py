"""DANE: where TLSA records are looked for, and what comes of what is found."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from mta.model.domain import Answer, Finding, Mx, Tlsa, TlsDemand, TlsLevel
from mta.model.event import Kind
from mta.model.outcome import Outcome, Scope, Verdict

from mta.flow.tls.assurance import Assurance
from mta.flow.tls.dane import Dane

from tests.flow.house import House, Peer, story

RECORD = Tlsa(3, 1, 1, b"d" * 32)
UNUSABLE = Tlsa(1, 1, 1, b"d" * 32)
ADDRESS: Answer[str] = Answer(Finding.RECORDS, ("192.0.2.1",), is_secure=True)
INSECURE = replace(ADDRESS, is_secure=False)
NONE: Answer[Tlsa] = Answer(Finding.NO_NAME, is_secure=True)
UNKNOWN: Answer[Tlsa] = Answer(Finding.UNKNOWN, text="127.0.0.1: SERVFAIL")


def records(*found: Tlsa, is_secure: bool = True) -> Answer[Tlsa]:
    return Answer(Finding.RECORDS, found, is_secure=is_secure)


class Names:
    """The DNS around one host, which is an alias where the answers say so."""

    def __init__(
        self,
        addresses: Answer[str],
        tlsa: Mapping[str, Answer[Tlsa]],
        alias: Answer[str] | None = None,
    ) -> None:
        self._addresses = addresses
        self._tlsa = tlsa
        self._alias = alias or Answer(Finding.NO_DATA)
        self.asked: list[str] = []

    async def mx(self, domain: str) -> Answer[Mx]:
        raise AssertionError

    async def addresses(self, name: str) -> Answer[str]:
        return self._addresses

    async def alias(self, name: str) -> Answer[str]:
        return self._alias

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        self.asked.append(name)
        return self._tlsa.get(name, NONE)


def demand(names: Names, *, is_secure: bool = True) -> TlsDemand | Outcome | None:
    dane = Dane(lookup=names, port=25)
    return asyncio.run(dane.demand("mx.there.test", "there.test", is_secure=is_secure))


HERE, THERE = "_25._tcp.mx.there.test", "_25._tcp.end.test"


def test_signed_records_of_a_signed_host_are_asked_for() -> None:
    found = demand(Names(ADDRESS, {HERE: records(RECORD)}))

    assert found == TlsDemand(
        TlsLevel.VERIFY, names=("mx.there.test", "there.test"), tlsa=(RECORD,)
    )


def test_records_none_of_which_can_be_used_ask_for_tls() -> None:
    assert demand(Names(ADDRESS, {HERE: records(UNUSABLE)})) == TlsDemand(TlsLevel.REQUIRED)


def test_a_host_without_records_says_nothing() -> None:
    assert demand(Names(ADDRESS, {})) is None


@pytest.mark.parametrize(
    ("names", "is_secure"),
    [
        (Names(ADDRESS, {HERE: records(RECORD)}), False),  # the MX answer is not signed
        (Names(INSECURE, {HERE: records(RECORD)}), True),  # the host's zone is not
    ],
)
def test_records_are_not_even_looked_for_where_the_way_to_them_is_not_signed(
    names: Names, is_secure: bool
) -> None:
    assert demand(names, is_secure=is_secure) is None
    assert names.asked == []  # old servers fall over such questions


def test_records_that_are_not_signed_count_for_nothing() -> None:
    assert demand(Names(ADDRESS, {HERE: records(RECORD, is_secure=False)})) is None


@pytest.mark.parametrize(
    "names",
    [
        Names(ADDRESS, {HERE: UNKNOWN}),
        Names(Answer(Finding.UNKNOWN, text="SERVFAIL"), {HERE: records(RECORD)}),
        Names(replace(INSECURE, alias_of="end.test"), {}, Answer(Finding.UNKNOWN, text="SERVFAIL")),
        Names(replace(ADDRESS, alias_of="end.test"), {THERE: UNKNOWN, HERE: records(RECORD)}),
    ],
    ids=["records", "addresses", "alias", "records of the alias' end"],
)
def test_what_cannot_be_looked_up_is_never_read_as_none(names: Names) -> None:
    outcome = demand(names)

    assert isinstance(outcome, Outcome)
    assert (outcome.verdict, outcome.scope) == (Verdict.DEFERRED, Scope.HOST)
    assert "SERVFAIL" in outcome.reply.text


def test_a_host_without_addresses_says_nothing() -> None:
    assert demand(Names(Answer(Finding.NO_NAME, is_secure=True), {})) is None


def test_the_records_of_an_alias_are_at_its_end() -> None:
    names = Names(replace(ADDRESS, alias_of="end.test"), {THERE: records(RECORD)})

    found = demand(names)

    assert isinstance(found, TlsDemand)
    assert found.names == ("end.test", "mx.there.test", "there.test")


def test_or_else_at_the_alias_itself() -> None:
    names = Names(replace(ADDRESS, alias_of="end.test"), {HERE: records(RECORD)})

    found = demand(names)

    assert isinstance(found, TlsDemand)
    assert found.names == ("mx.there.test", "there.test")
    assert names.asked == [THERE, HERE]


def test_of_a_signed_alias_of_what_is_not_signed_at_the_alias_alone() -> None:
    unsigned_end = replace(INSECURE, alias_of="end.test")
    signed_alias = Answer(Finding.RECORDS, ("end.test",), is_secure=True)
    names = Names(unsigned_end, {HERE: records(RECORD), THERE: records(UNUSABLE)}, signed_alias)

    found = demand(names)

    assert isinstance(found, TlsDemand)
    assert found.tlsa == (RECORD,)
    assert names.asked == [HERE]


def test_of_an_alias_that_is_not_signed_nowhere() -> None:
    unsigned_alias = Answer(Finding.RECORDS, ("end.test",))
    names = Names(replace(INSECURE, alias_of="end.test"), {HERE: records(RECORD)}, unsigned_alias)

    assert demand(names) is None
    assert names.asked == []


def signed_house(peers: dict[str, Peer], tlsa: Mapping[str, Answer[Tlsa]]) -> House:
    """Where all names are signed."""
    built = House(peers)
    built.assurance = Assurance([Dane(lookup=built.world, port=25)])
    built.world.is_signed = True
    built.world.tlsa_answers.update(tlsa)
    return built


@story
async def test_a_host_whose_records_cannot_be_had_is_passed_over_for_the_next() -> None:
    first, second = Peer(), Peer(has_good_certificate=True)
    built = signed_house({"one.test": first, "two.test": second}, {"_25._tcp.mx.one.test": UNKNOWN})
    hosts = (Mx(10, "mx.one.test"), Mx(20, "mx.two.test"))
    built.world.mx_answers["there.test"] = Answer(Finding.RECORDS, hosts, is_secure=True)
    await built.submit("bob@there.test")

    await built.step()

    assert (first.opened, len(second.letters)) == ([], 1)


@story
async def test_mail_waits_where_records_are_bogus_and_goes_when_they_are_mended() -> None:
    peer = Peer(has_good_certificate=True)
    built = signed_house({"there.test": peer}, {HERE: UNKNOWN})
    await built.submit("bob@there.test")
    await built.step()
    built.world.tlsa_answers[HERE] = records(RECORD)

    await built.advance(60)

    assert built.kinds("bob@there.test") == [Kind.DEFERRED, Kind.DELIVERED]
    assert [demand.tlsa for demand in peer.opened] == [(RECORD,)]
