"""Which hosts and addresses take a domain's mail, and what it means when none does."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_address
from itertools import count

import pytest

from mta.model.domain import Answer, Finding, Host, Mx
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict, broken, judge

from mta.rules.delivery.families import Families
from mta.rules.delivery.routing import (
    MAX_ADDRESSES_CONSIDERED,
    MAX_HOSTS_CONSIDERED,
    Route,
    conclusion,
    literal_addresses,
    literal_route,
    objection_to_address,
    route_for,
    usable_addresses,
)

US = ("mail.us.test",)


def chances(*values: float) -> Iterator[float]:
    """The given values, then 0.5 for ever."""
    yield from values
    for _ in count():
        yield 0.5


def route(
    *records: tuple[int, str],
    finding: Finding = Finding.RECORDS,
    domain: str = "there.test",
    chance: Sequence[float] = (),
) -> Route | Outcome:
    answer = Answer(finding, tuple(Mx(preference, host) for preference, host in records), "why")
    drawn = chances(*chance)
    return route_for(domain, answer, own_names=US, chance=lambda: next(drawn))


def addresses(
    *records: str, finding: Finding = Finding.RECORDS, private_allowed: bool = False
) -> tuple[str, ...] | Outcome:
    answer = Answer(finding, records, "why")
    return usable_addresses("mx.there.test", answer, private_allowed=private_allowed)


def told(outcome: object) -> tuple[Verdict, str, Scope]:
    assert isinstance(outcome, Outcome), outcome
    assert outcome.stage is Stage.LOOKUP
    return outcome.verdict, outcome.reply.status, outcome.scope


# Which hosts


def test_exchangers_come_in_the_order_of_their_preference() -> None:
    assert route((20, "b.test"), (5, "a.test"), (100, "c.test")) == Route(
        ("a.test", "b.test", "c.test")
    )


def test_exchangers_of_equal_preference_come_in_an_order_left_to_chance() -> None:
    records = [(10, "a.test"), (10, "b.test"), (5, "first.test")]

    orders = [route(*records, chance=chance) for chance in ((0.1, 0.9), (0.9, 0.1))]

    assert orders == [
        Route(("first.test", "a.test", "b.test")),
        Route(("first.test", "b.test", "a.test")),
    ]


def test_an_exchanger_listed_twice_is_tried_once_at_its_best_place() -> None:
    assert route((20, "a.test"), (10, "a.test"), (15, "b.test")) == Route(("a.test", "b.test"))


def test_a_hundred_hosts_are_considered_and_no_more() -> None:
    records = [(n, f"mx{n}.test") for n in range(MAX_HOSTS_CONSIDERED + 50)]

    found = route(*records)

    assert isinstance(found, Route)
    assert len(found.hosts) == 100
    assert found.hosts[-1] == "mx99.test"


@pytest.mark.parametrize(
    "unusable",
    [
        "192.0.2.1",
        "2001:db8::1",
        "[192.0.2.1]",
        "",
        "a..test",
        "-a.test",
        "a b.test",
        "a\\.b.test",
        "x" * 64 + ".test",
        ".".join(["x" * 50] * 6),
    ],
)
def test_what_is_no_hosts_name_is_passed_over(unusable: str) -> None:
    assert route((1, unusable), (2, "mx.test")) == Route(("mx.test",))


def test_a_name_with_an_underscore_is_tried() -> None:
    assert route((1, "mx_1.there.test")) == Route(("mx_1.there.test",))


def test_a_domain_without_any_usable_exchanger_fails() -> None:
    assert told(route((1, "192.0.2.1"), (2, ""))) == (
        Verdict.FAILED,
        "5.4.4",
        Scope.DESTINATION,
    )


def test_a_null_mx_fails_at_once() -> None:
    found = route((0, ""))

    assert told(found) == (Verdict.FAILED, "5.1.10", Scope.DESTINATION)
    assert isinstance(found, Outcome)
    assert found.reply.code == 556


def test_a_domain_without_mx_stands_for_itself() -> None:
    assert route(finding=Finding.NO_DATA) == Route(("there.test",), is_implicit=True)


def test_a_domain_that_does_not_exist_fails() -> None:
    assert told(route(finding=Finding.NO_NAME)) == (Verdict.FAILED, "5.1.2", Scope.DESTINATION)


def test_a_failed_lookup_is_never_read_as_no_mx() -> None:
    found = route(finding=Finding.UNKNOWN)

    assert told(found) == (Verdict.DEFERRED, "4.4.3", Scope.DESTINATION)
    assert isinstance(found, Outcome)
    assert found.reply.text.endswith("there.test now: why")


# Loops


def test_our_own_host_cuts_itself_and_all_that_is_no_better() -> None:
    records = [(5, "best.test"), (10, US[0]), (10, "equal.test"), (20, "worse.test")]

    assert route(*records) == Route(("best.test",))


def test_our_own_host_cuts_at_its_best_preference() -> None:
    assert route((30, US[0]), (20, "b.test"), (10, US[0]), (5, "a.test")) == Route(("a.test",))


@pytest.mark.parametrize("records", [[(10, US[0])], [(10, US[0]), (10, "a.test"), (11, "b.test")]])
def test_mail_that_would_come_back_to_us_fails(records: list[tuple[int, str]]) -> None:
    assert told(route(*records)) == (Verdict.FAILED, "5.4.6", Scope.DESTINATION)


def test_mail_for_our_own_name_without_mx_fails_as_a_loop() -> None:
    found = route(finding=Finding.NO_DATA, domain=US[0])

    assert told(found) == (Verdict.FAILED, "5.4.6", Scope.DESTINATION)


# Address literals


def test_an_address_literal_is_its_own_route_and_its_own_answer() -> None:
    assert literal_route("[192.0.2.1]") == Route(("[192.0.2.1]",))
    assert literal_addresses("[192.0.2.1]") == Answer(Finding.RECORDS, ("192.0.2.1",))
    assert literal_addresses("[IPv6:2001:db8::1]") == Answer(Finding.RECORDS, ("2001:db8::1",))


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_a_bare_address_is_its_own_answer_too(address: str) -> None:
    assert literal_addresses(address) == Answer(Finding.RECORDS, (address,))


def test_a_name_is_no_address_literal() -> None:
    assert literal_route("there.test") is None
    assert literal_addresses("mx.there.test") is None


# Which addresses


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (("8.8.8.8",), ("8.8.8.8",)),
        (("2a00::1", "2a00::2", "8.8.8.8"), ("8.8.8.8", "2a00::1", "2a00::2")),
        (
            ("2a00::1", "2a00::2", "8.8.8.8", "8.8.4.4"),
            ("8.8.8.8", "2a00::1", "8.8.4.4", "2a00::2"),
        ),
        (("10.0.0.1", "8.8.8.8", "::1"), ("8.8.8.8",)),
    ],
)
def test_the_public_addresses_of_both_families_take_turns(
    found: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert addresses(*found) == expected


def test_of_many_addresses_some_of_each_family_are_tried() -> None:
    found = addresses(*(f"2a00::{n}" for n in range(1, 50)), *(f"8.8.8.{n}" for n in range(1, 50)))

    assert isinstance(found, tuple)
    assert len(found) == MAX_ADDRESSES_CONSIDERED
    assert sum(":" in address for address in found) == MAX_ADDRESSES_CONSIDERED // 2


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.8.9.10", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("0.1.2.3", "private"),
        ("192.0.2.1", "private"),
        ("fd00::1", "private"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::ffff:8.8.8.8", "IPv4-mapped"),
        ("::ffff:127.0.0.1", "IPv4-mapped"),
        ("::7f00:1", "reserved"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a00:1", "private"),
    ],
)
def test_an_address_off_the_public_internet_is_refused(address: str, kind: str) -> None:
    found = addresses(address)

    assert told(found) == (Verdict.FAILED, "5.4.4", Scope.HOST)
    assert isinstance(found, Outcome)
    assert f"the {kind} address {ip_address(address)}" in found.reply.text
    assert "delivery.private_addresses" in found.reply.text


@pytest.mark.parametrize("address", ["8.8.8.8", "2a00::1", "64:ff9b::808:808"])
def test_nothing_is_said_against_a_public_address(address: str) -> None:
    assert objection_to_address(ip_address(address)) is None


def test_a_tunnel_to_an_address_that_is_not_public_is_refused() -> None:
    assert objection_to_address(ip_address("2002:7f00:1::")) is not None


def test_private_addresses_are_tried_where_they_are_allowed() -> None:
    assert addresses("::1", "127.0.0.1", private_allowed=True) == ("127.0.0.1", "::1")


@pytest.mark.parametrize("finding", [Finding.NO_DATA, Finding.NO_NAME])
def test_an_exchanger_without_an_address_fails_for_itself_alone(finding: Finding) -> None:
    assert told(addresses(finding=finding)) == (Verdict.FAILED, "5.4.4", Scope.HOST)


def test_a_domain_without_exchanger_and_address_is_a_bad_destination() -> None:
    nothing: Answer[str] = Answer(Finding.NO_DATA)

    found = usable_addresses("there.test", nothing, private_allowed=False, is_implicit=True)

    assert told(found) == (Verdict.FAILED, "5.1.2", Scope.HOST)


def test_an_exchanger_whose_addresses_are_unknown_waits() -> None:
    found = addresses(finding=Finding.UNKNOWN)

    assert told(found) == (Verdict.DEFERRED, "4.4.3", Scope.HOST)
    assert isinstance(found, Outcome)
    assert found.reply.text.endswith("mx.there.test now: why")


# What it means when no host took the mail

HOST = Host("mx.there.test", "8.8.8.8", 25)


def test_a_host_of_an_ip_version_that_we_do_without_waits() -> None:
    found = usable_addresses(
        "mx.there.test",
        Answer(Finding.RECORDS, ("2606:4700::1",)),
        private_allowed=False,
        families=Families((4,)),
    )

    assert told(found) == (Verdict.DEFERRED, "4.4.4", Scope.HOST)
    assert isinstance(found, Outcome)
    assert found.reply.text == "mx.there.test has IPv6 addresses alone, and we send without IPv6"


GONE = usable_addresses("a.test", Answer(Finding.NO_NAME), private_allowed=False)
UNREACHED = broken(Stage.CONNECT, HOST, "timed out", detail=1)
BUSY = judge(Reply(421, "busy", 3, 2), Stage.GREETING, HOST)
CLOSED = judge(Reply(521, "no mail here", 3, 2), Stage.GREETING, HOST)
AMBIGUOUS = broken(Stage.CONTENT, HOST, "lost", may_have_arrived=True)


def everywhere(outcome: Outcome) -> Outcome:
    return replace(outcome, scope=Scope.DESTINATION)


@pytest.mark.parametrize(
    ("outcomes", "spokesman"),
    [
        ([UNREACHED], UNREACHED),
        ([UNREACHED, CLOSED], UNREACHED),
        ([GONE, UNREACHED, GONE], UNREACHED),
        ([BUSY, UNREACHED], BUSY),
        ([GONE, CLOSED], CLOSED),
        ([CLOSED, GONE], CLOSED),
        ([GONE], GONE),
        ([AMBIGUOUS, BUSY], AMBIGUOUS),
    ],
)
def test_an_attempt_waits_while_one_host_may_still_take_the_mail(
    outcomes: list[Outcome], spokesman: Outcome
) -> None:
    assert conclusion(outcomes) == everywhere(spokesman)


def test_among_equals_the_latest_speaks_for_all() -> None:
    later = replace(UNREACHED, reply=Reply(451, "refused", 4, 1))

    assert conclusion([UNREACHED, later]) == everywhere(later)
