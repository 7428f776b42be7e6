"""What a refusal means: the first rule that is about it, of a table in order."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from mta.model.outcome import Outcome, Reply, Stage, Verdict
from mta.model.ruling import Response, Ruling

from mta.rules.pacing.sites import provider_of
from mta.rules.refusals.pattern import Matcher, Rule, words_of
from mta.rules.refusals.shipped import RULES

REMEMBERED = 512  # refusals whose rulings are kept at hand: a site in trouble says the same to all


class Table:
    """Rules in order. Raises ValueError for one whose patterns cannot be read."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._matchers = tuple([Matcher(rule) for rule in rules])
        self._rules = {rule.id: rule for rule in reversed(rules)}
        self._known = lru_cache(maxsize=REMEMBERED)(self._first)

    def rule(self, id: str) -> Rule | None:
        """The rule of this id."""
        return self._rules.get(id)

    def ruling(self, outcome: Outcome, site: str) -> Ruling | None:
        """What the first rule says that is about this refusal by `site`; None where none is."""
        return self._known(outcome.reply, outcome.stage, outcome.is_from_peer, site)

    def _first(self, reply: Reply, stage: Stage, is_from_peer: bool, site: str) -> Ruling | None:
        words = words_of(reply.text)
        for matcher in self._matchers:
            if matcher.matches(reply, stage, words, site, is_from_peer=is_from_peer):
                return matcher.ruling
        return None


SHIPPED = Table(RULES)


def classify(outcome: Outcome, site: str = "", table: Table = SHIPPED) -> Ruling | None:
    """What a refusal means; None for what was delivered. One that was asked before stands.

    `site` is who serves the destination, as "google"; "": the name of the host tells it.
    """
    if outcome.verdict is Verdict.DELIVERED:
        return None
    if outcome.ruling is not None:
        return outcome.ruling
    return table.ruling(outcome, site or _site_of(outcome))


def ruled(outcome: Outcome, table: Table = SHIPPED) -> Outcome:
    """A refusal with what it means; one that a rule fails has failed, whatever its code says."""
    ruling = classify(outcome, table=table)
    if ruling is None or ruling is outcome.ruling:
        return outcome
    verdict = Verdict.FAILED if ruling.response is Response.FAIL else outcome.verdict
    return replace(outcome, verdict=verdict, ruling=ruling)


def _site_of(outcome: Outcome) -> str:
    if outcome.host is None:
        return ""
    name = outcome.host.name.lower()
    return provider_of(name) or name
