"""Mail that was refused for our sake is kept for a while."""

from dataclasses import replace

import pytest

from mta.model.outcome import Outcome
from mta.model.ruling import Cause, Response, Ruling

from mta.rules.refusals.hold import held_until

from tests.rules.test_refusals import refused

DAY = 86_400.0
HOUR = 3_600.0
HELD = replace(
    refused("550 5.7.26 unauthenticated"),
    ruling=Ruling(Cause.AUTHENTICATION, "x", Response.HOLD, HOUR),
)


def held(
    outcome: Outcome, *, now: float, hold_for: float = DAY, chance: float = 0.5
) -> float | None:
    return held_until(outcome, released_at=0.0, hold_for=hold_for, now=now, chance=chance)


@pytest.mark.parametrize(
    ("now", "at"),
    [
        (0.0, HOUR),
        (10 * HOUR, 11 * HOUR),
        (23.5 * HOUR, DAY),  # the last attempt falls on the end
        (DAY, None),  # and what it brings counts
        (2 * DAY, None),
    ],
)
def test_it_is_tried_now_and_then_until_its_time_is_over(now: float, at: float | None) -> None:
    assert held(HELD, now=now) == at


def test_what_was_held_together_is_tried_apart() -> None:
    first, last = held(HELD, now=0.0, chance=0.0), held(HELD, now=0.0, chance=1.0)

    assert first is not None
    assert last is not None
    assert last - first == pytest.approx(0.2 * HOUR)


def test_a_rule_without_a_time_makes_no_storm() -> None:
    hasty = replace(HELD, ruling=Ruling(Cause.OURS, "x", Response.HOLD))

    assert held(hasty, now=0.0) == 60.0


@pytest.mark.parametrize(
    "outcome", [refused("550 5.1.1 who?"), refused("450 4.7.1 later"), refused("250 ok")]
)
def test_nothing_else_is_held(outcome: Outcome) -> None:
    assert held(outcome, now=0.0) is None


def test_nothing_is_held_where_nothing_is_to_be() -> None:
    assert held(HELD, now=0.0, hold_for=0.0) is None
