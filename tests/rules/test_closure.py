"""When the road to a whole site is shut, and what opens it."""

from dataclasses import replace

import pytest

from mta.model.domain import Host
from mta.model.envelope import Reason
from mta.model.outcome import Outcome, Reply, Scope, Stage, broken, judge, unresolved
from mta.model.ruling import Cause, Response, Ruling

from mta.rules.delivery.closure import Closure, Word, after_word, word_on_the_road
from mta.rules.delivery.fallback import FallbackPlan

PLAN = FallbackPlan(shut_for=900.0, shut_at_most=14_400.0)
NOW = 1_000.0
MX = Host("mx.there.test", "192.0.2.1", 25)

TAKEN = judge(Reply(250, "Ok"), Stage.CONTENT, MX)
NO_USER = judge(Reply(550, "no such user", 1, 1), Stage.RECIPIENT, MX)
LATER = judge(Reply(451, "later", 7, 1), Stage.RECIPIENT, MX)
BLOCKED = judge(Reply(550, "your address is blocked by spamhaus", 7, 1), Stage.SENDER, MX)
SPAMMY = judge(Reply(550, "the sending IP has a very low reputation", 7, 1), Stage.CONTENT, MX)
OF_ONE_TENANT = replace(BLOCKED, ruling=Ruling(Cause.POLICY, "tenants-own-list", Response.REROUTE))
DOWN = replace(broken(Stage.CONNECT, MX, "no answer"), scope=Scope.DESTINATION)
NO_TLS = replace(broken(Stage.TLS, MX, "no handshake"), scope=Scope.DESTINATION)
CUT = replace(broken(Stage.CONTENT, MX, "gone"), scope=Scope.DESTINATION)
SILENCE = broken(Stage.CONTENT, MX, "silence", may_have_arrived=True)
BUSY = replace(judge(Reply(421, "busy"), Stage.GREETING, MX), scope=Scope.DESTINATION)


@pytest.mark.parametrize(
    ("outcomes", "word"),
    [
        ([DOWN], Word(Reason.CONNECT, DOWN)),
        ([NO_TLS, NO_TLS], Word(Reason.TLS, NO_TLS)),
        ([unresolved("?")], Word(Reason.DNS, unresolved("?"))),
        ([BLOCKED], Word(Reason.BLOCKED, BLOCKED)),
        # One who is refused for our address's sake speaks for all, unless somebody got through
        ([NO_USER, BLOCKED], Word(Reason.BLOCKED, BLOCKED)),
        ([BLOCKED, TAKEN], Word(None, TAKEN)),
        ([TAKEN], Word(None, TAKEN)),
        ([NO_USER, LATER], Word(None, NO_USER)),
        # These say nothing of the road
        ([OF_ONE_TENANT], None),
        ([CUT], None),
        ([SILENCE], None),
        ([BUSY], None),
        ([], None),
    ],
)
def test_an_attempt_has_a_word_on_the_road(outcomes: list[Outcome], word: Word | None) -> None:
    assert word_on_the_road(outcomes) == word


def shut(times: int = 1, reason: Reason = Reason.CONNECT) -> Closure:
    return Closure(reason, DOWN, 500.0, NOW, times)


@pytest.mark.parametrize(
    ("times", "seconds"), [(1, 1_800.0), (2, 3_600.0), (4, 14_400.0), (9_999, 14_400.0)]
)
def test_a_probe_in_vain_shuts_it_for_longer_within_reason(times: int, seconds: float) -> None:
    again = after_word(shut(times), Word(Reason.CONNECT, DOWN), PLAN, NOW)

    assert again == Closure(Reason.CONNECT, DOWN, 500.0, NOW + seconds, times + 1)


def test_the_first_failure_shuts_it() -> None:
    first = after_word(None, Word(Reason.TLS, NO_TLS), PLAN, NOW)

    assert first == Closure(Reason.TLS, NO_TLS, NOW, NOW + 900, 1)


def test_what_was_under_way_together_counts_once() -> None:
    before = replace(shut(), until=NOW + 1)

    assert after_word(before, Word(Reason.CONNECT, DOWN), PLAN, NOW) == before


@pytest.mark.parametrize("closure", [None, shut(), shut(7), replace(shut(), until=NOW + 99)])
def test_a_word_opens_it(closure: Closure | None) -> None:
    assert after_word(closure, Word(None, TAKEN), PLAN, NOW) is None


def test_one_content_that_is_refused_may_be_refused_for_its_own_sake() -> None:
    word = Word(Reason.BLOCKED, SPAMMY)

    first = after_word(None, word, PLAN, NOW)
    assert first is not None
    second = after_word(first, word, PLAN, NOW + 1)
    assert second is not None

    assert (first.is_in_force, second.is_in_force) == (False, True)
    assert second.until == NOW + 1 + 900
