"""What a soak goes through."""

import random
from collections import Counter

import pytest

from tests.bench.soak.course import AROUND, LONGEST, WITH, Kind, course, mood_of
from tests.bench.soak.mood import CALM


def kinds(seconds: float) -> Counter[Kind]:
    return Counter(spell.kind for spell in course(seconds, random.Random(1)))


@pytest.mark.parametrize("seconds", [18.0, 600.0, 3600.0])
def test_a_soak_takes_its_time_and_begins_and_ends_in_calm(seconds: float) -> None:
    spells = course(seconds, random.Random(1))

    assert sum(spell.seconds for spell in spells) == pytest.approx(seconds)
    assert [spells[0].kind, spells[-1].kind] == [Kind.CALM, Kind.CALM]


@pytest.mark.parametrize("seconds", [18.0, 600.0, 3600.0])
def test_every_kind_of_trouble_comes(seconds: float) -> None:
    assert set(kinds(seconds)) == set(Kind)


def test_the_server_lives_until_the_second_calm() -> None:
    spells = [spell.kind for spell in course(600.0, random.Random(1))]

    before = spells[: spells.index(Kind.CALM, 1)]
    assert not {Kind.STOP, Kind.KILL} & set(before)


def test_ten_minutes_have_a_kill_or_two_and_some_stops() -> None:
    found = kinds(600.0)

    assert 1 <= found[Kind.KILL] <= 2
    assert found[Kind.STOP] >= 2


def test_a_long_soak_has_more_spells_and_no_longer_ones() -> None:
    trouble = [spell for spell in course(3600.0, random.Random(1)) if spell.kind is not Kind.CALM]

    assert len(trouble) > len(AROUND) + len(WITH)
    assert max(spell.seconds for spell in trouble) <= LONGEST


def test_nothing_goes_wrong_in_a_calm_alone() -> None:
    chance = random.Random(1)

    for spell in course(600.0, chance):
        assert (mood_of(spell, 6.0, chance) == CALM) == (spell.kind is Kind.CALM)
