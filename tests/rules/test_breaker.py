"""When a destination is left in peace, and what opens it again."""

from dataclasses import replace

import pytest

from mta.model.domain import Host
from mta.model.outcome import (
    Outcome,
    Reply,
    Scope,
    Stage,
    broken,
    judge,
    undeliverable,
    unresolved,
)

from mta.rules.delivery.breaker import LONGEST_SHUT, WHOLE, Breaker, after_outcomes
from mta.rules.delivery.retry import JITTER, RetryPlan, next_attempt

PLAN = RetryPlan((60.0, 300.0, 900.0, 3_600.0), give_up_after=86_400.0)
NOW = 1_000.0
MX = Host("mx.there.test", "192.0.2.1", 25)


def of_all_hosts(outcome: Outcome) -> Outcome:
    """The same trouble, at every host of the destination."""
    return replace(outcome, scope=Scope.DESTINATION)


DOWN = of_all_hosts(broken(Stage.CONNECT, MX, "no answer"))
BUSY = of_all_hosts(judge(Reply(421, "busy"), Stage.GREETING, MX))
TAKEN = judge(Reply(250, "Ok"), Stage.CONTENT, MX)
NO_USER = judge(Reply(550, "no such user"), Stage.RECIPIENT, MX)


def after_failures(count: int) -> Breaker:
    """The breaker after so many probes that found nobody."""
    breaker = WHOLE
    for _ in range(count):
        breaker = after_outcomes(breaker, [DOWN], PLAN, max(NOW, breaker.shut_until))
    return breaker


@pytest.mark.parametrize(
    ("outcomes", "shuts"),
    [
        ([DOWN], True),
        ([DOWN, DOWN], True),
        ([BUSY], True),
        ([unresolved("no answer")], True),
        ([of_all_hosts(broken(Stage.GREETING, MX, "silence"))], True),
        ([of_all_hosts(broken(Stage.TLS, MX, "no handshake"))], True),
        ([of_all_hosts(judge(Reply(535, "no"), Stage.LOGIN, MX))], True),
        # Words, of whatever kind
        ([TAKEN], False),
        ([NO_USER], False),
        ([judge(Reply(451, "later"), Stage.RECIPIENT, MX)], False),
        ([judge(Reply(554, "go away"), Stage.GREETING, MX)], False),
        ([DOWN, NO_USER], False),
        ([TAKEN, DOWN], False),
        ([undeliverable("takes no mail", 1, 10)], False),
        # One host is not the destination
        ([broken(Stage.CONNECT, MX, "no answer")], False),
        # What may be for one message's sake
        ([of_all_hosts(judge(Reply(421, "no"), Stage.SENDER, MX))], False),
        ([of_all_hosts(judge(Reply(421, "no"), Stage.CONTENT, MX))], False),
        ([of_all_hosts(broken(Stage.CONTENT, MX, "it hung up"))], False),
    ],
)
def test_a_destination_is_shut_when_nobody_can_be_reached_there(
    outcomes: list[Outcome], shuts: bool
) -> None:
    breaker = after_outcomes(WHOLE, outcomes, PLAN, NOW)

    assert (breaker.suspends(NOW) is not None) is shuts
    assert breaker.is_probing is shuts
    assert shuts or breaker == WHOLE


def test_what_comes_due_meanwhile_gets_the_outcome_that_shut_it() -> None:
    breaker = after_outcomes(WHOLE, [DOWN], PLAN, NOW)

    assert breaker.suspends(NOW) == DOWN
    assert breaker.suspends(breaker.shut_until - 0.1) == DOWN
    assert breaker.suspends(breaker.shut_until) is None


def test_a_destination_that_opens_is_probed_by_one_message() -> None:
    breaker = after_outcomes(WHOLE, [DOWN], PLAN, NOW)

    assert breaker.suspends(breaker.shut_until) is None
    assert breaker.is_probing


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 48.0), (2, 240.0), (3, 720.0), (4, LONGEST_SHUT), (99, 900.0)]
)
def test_it_is_shut_for_longer_each_time_within_reason(failures: int, seconds: float) -> None:
    before = after_failures(failures - 1)
    now = max(NOW, before.shut_until)

    breaker = after_outcomes(before, [DOWN], PLAN, now)

    assert breaker.failures == failures
    assert breaker.shut_until - now == pytest.approx(seconds)


@pytest.mark.parametrize("outcome", [TAKEN, NO_USER])
def test_the_first_word_makes_it_whole(outcome: Outcome) -> None:
    assert after_outcomes(after_failures(5), [outcome], PLAN, NOW) == WHOLE


def test_attempts_under_way_together_count_once() -> None:
    shut = after_outcomes(WHOLE, [DOWN], PLAN, NOW)

    again = after_outcomes(shut, [DOWN], PLAN, NOW + 1)

    assert again == shut


@pytest.mark.parametrize("attempts", [1, 2, 3, 4, 9])
def test_the_message_that_failed_can_be_the_probe(attempts: int) -> None:
    breaker = after_outcomes(after_failures(attempts - 1), [DOWN], PLAN, 9_000.0)
    retry_at = next_attempt(
        PLAN, attempts=attempts, ends_at=NOW + PLAN.give_up_after, now=9_000.0, chance=0.0
    )

    assert JITTER > 0
    assert retry_at is not None
    assert breaker.shut_until < retry_at
