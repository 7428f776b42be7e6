"""Is a record at every server of its zone? On a small DNS in memory."""

import asyncio
from dataclasses import dataclass, field

from mta.model.domain import Answer, Finding
from mta.model.zone import Alias, Delegation, Sighting, ZoneAnswer

from mta.rules.message.dkimrecord import DkimRecord

from mta.flow.keyrecords import KeyRecords, is_everywhere

RECORD = DkimRecord("example.com", "s2", "AbC=")
SHOWN = Answer(Finding.RECORDS, (RECORD.value,))
NONE: Answer[str] = Answer(Finding.NO_NAME)
SILENT: Answer[str] = Answer(Finding.UNKNOWN, text="timed out")


@dataclass
class Dns:
    """What a resolver says, and what each server does, by its address."""

    ns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    a: dict[str, tuple[str, ...]] = field(default_factory=dict)
    txts: dict[str, Answer[str]] = field(default_factory=dict)
    servers: dict[str, ZoneAnswer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def texts(self, address: str, name: str) -> ZoneAnswer:
        assert name == RECORD.name
        return self.servers[address]


@dataclass
class Names:
    dns: Dns

    async def txt(self, name: str) -> Answer[str]:
        self.dns.asked.append(name)
        return self.dns.txts.get(name, NONE)

    async def ns(self, zone: str) -> Answer[str]:
        self.dns.asked.append(zone)
        if zone == "silent.test":
            return SILENT
        found = self.dns.ns.get(zone, ())
        return Answer(Finding.RECORDS if found else Finding.NO_DATA, found)

    async def addresses(self, name: str) -> Answer[str]:
        found = self.dns.a.get(name, ())
        return Answer(Finding.RECORDS if found else Finding.NO_NAME, found, "no such host")


def sightings(dns: Dns, record: DkimRecord = RECORD) -> tuple[Sighting, ...]:
    records = KeyRecords(names=Names(dns), authority=dns)
    return asyncio.run(records.sightings(record))


def two(first: ZoneAnswer, second: ZoneAnswer) -> Dns:
    return Dns(
        ns={"example.com": ("ns1.test", "ns2.test")},
        a={"ns1.test": ("192.0.2.1",), "ns2.test": ("192.0.2.2",)},
        servers={"192.0.2.1": first, "192.0.2.2": second},
    )


def test_a_record_that_all_servers_show_is_everywhere() -> None:
    seen = sightings(two(SHOWN, SHOWN))

    assert [sighting.server for sighting in seen] == ["ns1.test", "ns2.test"]
    assert is_everywhere(seen)


def test_one_server_that_lags_behind_is_named() -> None:
    seen = sightings(two(SHOWN, NONE))

    assert not is_everywhere(seen)
    assert str(seen[1]) == "ns2.test: expected our record, found none"


def test_a_server_that_is_silent_is_not_taken_for_one_that_shows_it() -> None:
    assert not is_everywhere(sightings(two(SHOWN, SILENT)))


def test_an_address_out_of_reach_does_not_count_where_the_server_has_another() -> None:
    dns = two(SHOWN, SHOWN)
    dns.a["ns2.test"] = ("2001:db8::2", "192.0.2.2")
    dns.servers["2001:db8::2"] = SILENT

    assert is_everywhere(sightings(dns))


def test_a_server_that_answers_differently_at_its_addresses_is_named() -> None:
    dns = two(SHOWN, SHOWN)
    dns.a["ns2.test"] = ("192.0.2.2", "192.0.2.3")
    dns.servers["192.0.2.3"] = NONE

    assert not is_everywhere(sightings(dns))


def test_the_zone_of_a_name_below_it_is_found_upwards() -> None:
    dns = two(SHOWN, SHOWN)
    record = DkimRecord("mail.example.com", "s2", "AbC=")
    dns.servers = dict.fromkeys(dns.servers, SHOWN)

    async def texts(address: str, name: str) -> ZoneAnswer:
        return SHOWN

    dns.texts = texts  # type: ignore[method-assign]  # another name than the one of these tests

    assert is_everywhere(sightings(dns, record))
    assert dns.asked == ["mail.example.com", "example.com"]


def test_a_zone_below_that_has_servers_of_its_own_is_followed() -> None:
    dns = two(Delegation(("ns.below.test",)), Delegation(("ns.below.test",)))
    dns.a["ns.below.test"] = ("192.0.2.9",)
    dns.servers["192.0.2.9"] = SHOWN

    assert sightings(dns) == (Sighting("ns.below.test"),)


def test_servers_that_send_us_in_circles_are_left() -> None:
    dns = two(Delegation(("ns2.test",)), Delegation(("ns1.test",)))

    assert not is_everywhere(sightings(dns))


def test_an_alias_is_looked_up_as_receivers_do() -> None:
    dns = two(Alias("s2.provider.test"), Alias("s2.provider.test"))
    dns.txts["s2.provider.test"] = SHOWN

    assert is_everywhere(sightings(dns))


def test_the_record_itself_is_never_asked_of_a_resolver() -> None:
    dns = two(SHOWN, NONE)
    sightings(dns)

    assert RECORD.name not in dns.asked
    assert f"_domainkey.{RECORD.domain}" not in dns.asked


def test_a_zone_whose_servers_are_not_known_shows_nothing() -> None:
    assert not is_everywhere(sightings(Dns()))
    assert not is_everywhere(sightings(Dns(ns={"com": ("nowhere.test",)})))
    assert not is_everywhere(sightings(Dns(), DkimRecord("silent.test", "s", "x")))


def test_only_so_many_servers_are_asked() -> None:
    many = tuple(f"ns{number:03}.test" for number in range(100))
    dns = Dns(ns={"example.com": many})

    assert len(sightings(dns)) == 16


def test_what_receivers_see_is_what_a_resolver_says() -> None:
    dns = Dns(txts={RECORD.name: SHOWN})
    records = KeyRecords(names=Names(dns), authority=dns)

    assert asyncio.run(records.objection(RECORD)) is None
    other = DkimRecord("example.com", "s3", "AbC=")
    assert asyncio.run(records.objection(other)) == "expected our record, found none"
