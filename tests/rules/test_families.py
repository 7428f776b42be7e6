"""Which IP versions may be used, by what the DNS says of our own addresses."""

from collections.abc import Mapping
from ipaddress import ip_address

import pytest

from mta.model.domain import Answer, Finding

from mta.rules.delivery.families import (
    BOTH,
    Families,
    Ipv6,
    Papers,
    Standing,
    families_for,
    names_to_confirm,
    objection_to,
    papers_of,
    unseen,
)

FOUR, SIX = "9.9.9.9", "2606:4700::9"
NONE: Answer[str] = Answer(Finding.NO_NAME)
SILENCE: Answer[str] = Answer(Finding.UNKNOWN, text="no answer within 10 s")


def records(*found: str) -> Answer[str]:
    return Answer(Finding.RECORDS, found)


# What the DNS says of an address


@pytest.mark.parametrize(
    ("address", "pointers", "forward", "expected", "text"),
    [
        (
            FOUR,
            records("a.test"),
            {"a.test": records(FOUR)},
            Standing.CONFIRMED,
            "9.9.9.9 is a.test",
        ),
        (
            SIX,
            records("a.test"),
            {"a.test": records(FOUR, "2606:4700:0:0::9")},
            Standing.CONFIRMED,
            "2606:4700::9 is a.test",
        ),
        (
            FOUR,
            records("old.test", "a.test"),
            {"old.test": NONE, "a.test": records(FOUR)},
            Standing.CONFIRMED,
            "9.9.9.9 is a.test",
        ),
        (FOUR, NONE, {}, Standing.NAMELESS, "9.9.9.9 has no reverse name"),
        (
            FOUR,
            Answer(Finding.NO_DATA),
            {},
            Standing.NAMELESS,
            "9.9.9.9 has no reverse name",
        ),
        (
            SIX,
            records("a.test"),
            {"a.test": records(FOUR)},
            Standing.UNCONFIRMED,
            "2606:4700::9 has the reverse name a.test, and that name has 9.9.9.9",
        ),
        (
            FOUR,
            records("a.test"),
            {"a.test": NONE},
            Standing.UNCONFIRMED,
            "9.9.9.9 has the reverse name a.test, and that name has no address",
        ),
        (
            FOUR,
            SILENCE,
            {},
            Standing.UNKNOWN,
            "the reverse name of 9.9.9.9 cannot be looked up now: no answer within 10 s",
        ),
        (
            FOUR,
            records("a.test"),
            {"a.test": SILENCE},
            Standing.UNKNOWN,
            "the addresses of a.test cannot be looked up now: no answer within 10 s",
        ),
    ],
)
def test_a_reverse_name_holds_if_it_leads_back(
    address: str,
    pointers: Answer[str],
    forward: Mapping[str, Answer[str]],
    expected: Standing,
    text: str,
) -> None:
    found = papers_of(address, pointers, forward)

    assert (found.standing, found.text) == (expected, text)


def test_few_of_many_names_are_looked_at() -> None:
    pointers = records(*(f"n{number}.test" for number in range(500)))

    assert names_to_confirm(pointers) == ("n0.test", "n1.test", "n2.test", "n3.test", "n4.test")


def test_where_addresses_are_translated_or_missing_nothing_can_be_said() -> None:
    assert unseen(4, "10.0.0.5").standing is Standing.PRIVATE
    assert unseen(6, None) == Papers(6, "", Standing.ABSENT, text="there is no way out over IPv6")


# What may be used


def papers(version: int, standing: Standing) -> Papers:
    return Papers(version, FOUR if version == 4 else SIX, standing, text="text")


CONFIRMED, NAMELESS, ABSENT = Standing.CONFIRMED, Standing.NAMELESS, Standing.ABSENT


@pytest.mark.parametrize(
    ("ipv6", "four", "six", "expected"),
    [
        (Ipv6.AUTO, CONFIRMED, CONFIRMED, BOTH),
        (Ipv6.AUTO, NAMELESS, CONFIRMED, BOTH),
        (Ipv6.AUTO, CONFIRMED, NAMELESS, Families((4,), (6,))),
        (Ipv6.AUTO, CONFIRMED, Standing.UNCONFIRMED, Families((4,), (6,))),
        (Ipv6.AUTO, CONFIRMED, Standing.UNKNOWN, Families((4,), (6,))),
        (Ipv6.AUTO, CONFIRMED, Standing.PRIVATE, Families((4,), (6,))),
        (Ipv6.AUTO, CONFIRMED, ABSENT, Families((4,), (6,))),
        (Ipv6.AUTO, ABSENT, NAMELESS, Families((6,), (4,))),
        (Ipv6.AUTO, ABSENT, CONFIRMED, BOTH),
        (Ipv6.AUTO, ABSENT, ABSENT, Families((4,), (6,))),
        (Ipv6.ALWAYS, CONFIRMED, NAMELESS, BOTH),
        (Ipv6.NEVER, CONFIRMED, CONFIRMED, Families((4,))),
    ],
)
def test_ipv6_is_used_as_our_reverse_name_and_the_settings_have_it(
    ipv6: Ipv6, four: Standing, six: Standing, expected: Families
) -> None:
    assert families_for(ipv6, [papers(4, four), papers(6, six)]) == expected


def test_one_bad_address_of_several_keeps_ipv6_from_being_used() -> None:
    found = families_for(Ipv6.AUTO, [papers(6, CONFIRMED), papers(6, NAMELESS)])

    assert found == Families((6,), (4,))


def test_before_anything_is_known_ipv6_is_for_hosts_that_have_nothing_else() -> None:
    assert families_for(Ipv6.AUTO, []) == Families((4,), (6,))


@pytest.mark.parametrize(
    ("families", "addresses", "expected"),
    [
        (BOTH, [SIX, "2606:4700::10", FOUR], [FOUR, SIX, "2606:4700::10"]),
        (Families((4,), (6,)), [SIX, FOUR], [FOUR]),
        (Families((4,), (6,)), [SIX], [SIX]),
        (Families((4,), (6,)), ["::1", "127.0.0.1"], ["127.0.0.1", "::1"]),
        (Families((6,), (4,)), [FOUR, SIX], [SIX]),
        (Families((6,), (4,)), [FOUR], [FOUR]),
        (Families((4,)), [SIX, "::1"], []),
        (Families((4,)), [SIX, FOUR], [FOUR]),
    ],
)
def test_a_hosts_addresses_come_as_they_may_be_tried(
    families: Families, addresses: list[str], expected: list[str]
) -> None:
    found = families.in_order([ip_address(address) for address in addresses])

    assert [str(ip) for ip in found] == expected


# What an operator hears


@pytest.mark.parametrize(
    ("ipv6", "one", "expected"),
    [
        (Ipv6.AUTO, papers(4, CONFIRMED), None),
        (Ipv6.AUTO, papers(6, ABSENT), None),
        (Ipv6.AUTO, papers(4, Standing.PRIVATE), None),
        (
            Ipv6.AUTO,
            papers(4, NAMELESS),
            "text; large receivers expect one that leads back to it, and refuse mail",
        ),
        (Ipv6.AUTO, papers(6, NAMELESS), "text; hosts that have IPv4 too get no mail over IPv6"),
        (
            Ipv6.ALWAYS,
            papers(6, NAMELESS),
            "text; large receivers expect one that leads back to it, and refuse mail",
        ),
        (Ipv6.NEVER, papers(6, NAMELESS), None),
        (Ipv6.AUTO, papers(4, Standing.UNKNOWN), "text"),
    ],
)
def test_an_operator_hears_what_is_wrong_and_what_comes_of_it(
    ipv6: Ipv6, one: Papers, expected: str | None
) -> None:
    assert objection_to(one, ipv6) == expected
