import math
from dataclasses import replace

import pytest

from mta.rules.message.dkimrecord import KeyKind
from mta.rules.message.keyterm import (
    DAY,
    OVERLAP,
    KeyState,
    KeyTerm,
    ends,
    next_selector,
    pause_before_look,
    succeeded,
    to_replace,
)

NOW = 1_800_000_000.0
HOUR = 3600.0

OLD = KeyTerm("example.com", "s1", KeyKind.RSA)
WAITING = KeyTerm("example.com", "s2", KeyKind.RSA, None, replaces=("s1",), overlap=2 * DAY)
NEW = replace(WAITING, signs_from=NOW)


@pytest.mark.parametrize(
    ("term", "state"),
    [
        (OLD, KeyState.SIGNING),
        (WAITING, KeyState.WAITING),
        (replace(OLD, signs_from=NOW), KeyState.SIGNING),
        (replace(OLD, signs_from=NOW + 1), KeyState.PLANNED),
        (replace(OLD, signs_until=NOW + 1), KeyState.SIGNING),
        (replace(OLD, signs_until=NOW), KeyState.RETIRING),
        (replace(OLD, signs_until=NOW - OVERLAP + 1), KeyState.RETIRING),
        (replace(OLD, signs_until=NOW - OVERLAP), KeyState.RETIRED),
    ],
)
def test_how_far_a_key_has_come_follows_from_its_dates(term: KeyTerm, state: KeyState) -> None:
    assert term.state_at(NOW) is state


def test_a_key_that_waits_ends_nobody() -> None:
    assert succeeded([OLD, WAITING]) == (OLD, WAITING)


def test_a_key_ends_where_another_takes_its_place_and_its_record_stays_for_the_overlap() -> None:
    old, new = succeeded([OLD, NEW])

    assert new == NEW
    assert old.signs_until == NOW
    assert old.published_until == NOW + 2 * DAY


def test_a_key_that_ended_before_is_not_made_to_end_later() -> None:
    ended = replace(OLD, signs_until=NOW - HOUR)

    assert succeeded([ended, NEW])[0] == ended


def test_keys_of_other_domains_with_the_same_selector_go_on() -> None:
    other = replace(OLD, domain="example.org")

    assert succeeded([other, NEW])[0] == other


def test_a_chain_of_successors_ends_each_at_its_own_time() -> None:
    third = KeyTerm("example.com", "s3", KeyKind.RSA, NOW + HOUR, replaces=("s2",))

    ended = succeeded([OLD, NEW, third])

    assert [term.signs_until for term in ended] == [NOW, NOW + HOUR, math.inf]


def test_at_every_moment_of_a_rotation_exactly_one_of_its_keys_signs() -> None:
    ended = succeeded([OLD, NEW])

    for now in (NOW - HOUR, NOW - 1, NOW, NOW + 1, NOW + DAY):
        assert sum(term.state_at(now) is KeyState.SIGNING for term in ended) == 1


def test_a_new_key_replaces_those_of_its_domain_and_kind_that_sign_or_will() -> None:
    terms = [
        OLD,
        replace(OLD, selector="gone", signs_until=NOW - 1),
        replace(OLD, selector="planned", signs_from=NOW + 1),
        replace(OLD, selector="waits", signs_from=None),
        replace(OLD, selector="e1", kind=KeyKind.ED25519),
        replace(OLD, domain="example.org"),
    ]

    assert to_replace(terms, "example.com", KeyKind.RSA, NOW) == ("s1", "planned")


@pytest.mark.parametrize(
    ("taken", "latest", "name"),
    [
        (["s1"], "s1", "s2"),
        (["s1", "s2"], "s1", "s3"),
        (["s9"], "s9", "s10"),
        (["2024"], "2024", "2025"),
        (["mail"], "mail", "mail-2"),
        (["mail", "mail-2"], "mail-2", "mail-3"),
        ([], "s" + "9" * 20, "s" + "9" * 12 + "100000000"),
    ],
)
def test_selectors_are_counted_up(taken: list[str], latest: str, name: str) -> None:
    assert next_selector(taken, latest) == name


def test_a_domain_that_nobody_signs_for_soon_is_told_of_before() -> None:
    ending = replace(OLD, signs_until=NOW + DAY)

    assert ends([ending], NOW) == {"example.com": NOW + DAY}
    assert ends([ending, replace(OLD, selector="s2")], NOW) == {}
    assert ends([OLD], NOW) == {}


def test_a_domain_whose_only_key_waits_is_without_one() -> None:
    assert ends([WAITING], NOW) == {"example.com": -math.inf}
    assert ends([OLD, WAITING], NOW) == {}


def test_a_record_is_looked_for_often_at_first_and_every_five_minutes_at_last() -> None:
    assert [pause_before_look(waited) for waited in (0, 60, 600, 86_400)] == [5, 6, 60, 300]
