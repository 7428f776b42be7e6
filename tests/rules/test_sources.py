"""Which of our addresses a host sees."""

from collections import Counter

import pytest

from mta.model.source import Source

from mta.rules.delivery.sources import neighbourhood, sources_for

A = Source("192.0.2.1", "a.example.com")
B = Source("192.0.2.2", "b.example.com")
C = Source("192.0.2.3", "c.example.com")
SIX = Source("2001:db8::1", "a.example.com")

HOSTS = [f"mx.{number}.test" for number in range(2_000)]


def first(sources: list[Source], host: str) -> Source:
    return sources_for(sources, host, 4)[0]


def test_only_addresses_of_the_targets_version_are_used() -> None:
    assert set(sources_for([A, SIX, B], "mx.test", 4)) == {A, B}
    assert sources_for([A, SIX, B], "mx.test", 6) == (SIX,)


def test_there_may_be_none_of_that_version() -> None:
    assert sources_for([A], "mx.test", 6) == ()


def test_a_host_sees_the_same_address_each_time_whatever_their_order() -> None:
    assert sources_for([A, B, C], "mx.test", 4) == sources_for([C, A, B], "mx.test", 4)


def test_the_hosts_of_one_owner_see_the_same_address() -> None:
    hosts = ["gmail-smtp-in.l.google.com", "alt1.gmail-smtp-in.l.google.com", "aspmx.l.google.com"]

    assert len({first([A, B, C], host) for host in hosts}) == 1


def test_destinations_are_spread_by_weight() -> None:
    heavy = Source("192.0.2.9", weight=3)

    drawn = Counter(first([A, heavy], host) for host in HOSTS)

    assert 0.70 < drawn[heavy] / len(HOSTS) < 0.80


def test_one_that_is_added_takes_its_share_and_moves_nothing_else() -> None:
    before = {host: first([A, B], host) for host in HOSTS}

    after = {host: first([A, B, C], host) for host in HOSTS}

    moved = {host for host in HOSTS if after[host] is not before[host]}
    assert all(after[host] is C for host in moved)
    assert 0.28 < len(moved) / len(HOSTS) < 0.39


def test_a_new_name_in_ehlo_moves_no_destination() -> None:
    renamed = Source(A.address, "other.example.com")

    for host in HOSTS[:50]:
        assert first([A, B], host).address == first([renamed, B], host).address


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("mx1.example.com", "example.com"),
        ("example.com", "example.com"),
        ("localhost", "localhost"),
        ("a.b.mail.example.co.uk", "example.co.uk"),
        ("mx.example.de", "example.de"),
        ("co.uk", "co.uk"),
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
    ],
)
def test_a_neighbourhood_is_the_end_of_a_name(host: str, expected: str) -> None:
    assert neighbourhood(host) == expected
