"""Sites are found by the DNS, remembered, and never in the way of mail."""

from mta.model.domain import Answer, Finding, Mx
from mta.model.envelope import Destination, Road

from mta.flow.delivery.sites import Sites

from tests.flow.house import HOUR, START, FakeWorld, story

THERE = Destination(Road.DIRECT, "there.test")
SMARTHOST = Destination(Road.SMARTHOST, "")


class Finder:
    def __init__(self, remembered: int = 100) -> None:
        self.now = START
        self.world = FakeWorld({})
        self.sites = Sites(
            lookup=self.world,
            fixed=self.fixed,
            clock=lambda: self.now,
            remembered=remembered,
        )

    def fixed(self, destination: Destination) -> str | None:
        return "smarthost:relay.test" if destination.road is Road.SMARTHOST else None


@story
async def test_a_site_is_found_once_and_known_for_a_while() -> None:
    finder = Finder()
    finder.world.mx_answers["there.test"] = Answer(Finding.RECORDS, (Mx(1, "aspmx.l.google.com"),))

    assert finder.sites.known(THERE) is None
    assert await finder.sites.find(THERE) == "google"
    assert finder.sites.known(THERE) == "google"
    assert finder.world.queries == ["there.test"]

    finder.now += HOUR
    assert finder.sites.known(THERE) is None


@story
async def test_what_does_not_go_by_mx_records_asks_no_dns() -> None:
    finder = Finder()

    assert finder.sites.known(SMARTHOST) == "smarthost:relay.test"
    assert finder.sites.known(Destination(Road.DIRECT, "[192.0.2.1]")) == "[192.0.2.1]"
    assert finder.world.queries == []


@story
async def test_a_domain_that_cannot_be_looked_up_is_its_own_site_for_a_moment() -> None:
    finder = Finder()
    finder.world.mx_answers["there.test"] = Answer(Finding.UNKNOWN, text="timeout")

    assert await finder.sites.find(THERE) == "there.test"
    finder.now += 2

    assert finder.sites.known(THERE) is None


@story
async def test_an_endless_list_of_domains_takes_no_endless_memory() -> None:
    finder = Finder(remembered=10)

    for number in range(25):
        await finder.sites.find(Destination(Road.DIRECT, f"domain{number}.test"))

    assert len(finder.sites._found) <= 10
    assert finder.sites.known(Destination(Road.DIRECT, "domain24.test")) == "domain24.test"


@story
async def test_new_names_for_providers_are_in_force_at_once() -> None:
    finder = Finder()
    finder.world.mx_answers["there.test"] = Answer(Finding.RECORDS, (Mx(0, "mx.big.test"),))
    await finder.sites.find(THERE)

    finder.sites.renew(finder.world, {"big.test": "big"})

    assert finder.sites.known(THERE) is None
    assert await finder.sites.find(THERE) == "big"
