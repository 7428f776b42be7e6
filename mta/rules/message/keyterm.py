"""When each DKIM key signs, how long its record must stay in the DNS, and who follows it.

A key waits until the DNS shows its record everywhere, signs, and is replaced by another one. Its
record stays for a while after that: mail that it signed is still on the way, and is verified when
it arrives.
"""

import math
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from mta.rules.message.dkimrecord import KeyKind

DAY = 86_400.0
OVERLAP = 7 * DAY  # seconds: longer than mail is tried for
SOON = 7 * DAY  # seconds before a domain is without a key, when it is told
LEAST_PAUSE, MOST_PAUSE = 5.0, 300.0  # seconds between two looks for a record

_NUMBERED = re.compile(r"(.*?)([0-9]{1,8})")


class KeyState(StrEnum):
    """How far a key has come."""

    WAITING = "waiting"  # until all of its zone's servers show its record
    PLANNED = "planned"  # signs from a date to come
    SIGNING = "signing"
    RETIRING = "retiring"  # signs no more; its record has to stay
    RETIRED = "retired"  # its record may go


@dataclass(frozen=True, slots=True)
class KeyTerm:
    """When a key signs, in Unix seconds; `signs_from` None: when the DNS shows its record.

    `replaces` are the selectors of its domain that sign no more when it does; their records
    stay `overlap` seconds longer. `made_at` is 0 where nobody knows.
    """

    domain: str
    selector: str
    kind: KeyKind
    signs_from: float | None = -math.inf
    signs_until: float = math.inf
    replaces: tuple[str, ...] = ()
    overlap: float = OVERLAP
    made_at: float = 0.0

    @property
    def published_until(self) -> float:
        """Until when its record has to stand in the DNS."""
        return self.signs_until + self.overlap

    def state_at(self, now: float) -> KeyState:
        """How far it has come."""
        if self.signs_from is None:
            return KeyState.WAITING
        if now >= self.published_until:
            return KeyState.RETIRED
        if now >= self.signs_until:
            return KeyState.RETIRING
        return KeyState.SIGNING if now >= self.signs_from else KeyState.PLANNED

    def is_needed_at(self, now: float) -> bool:
        """Whether receivers may look for its record: mail with its signature is on the way."""
        return self.state_at(now) in (KeyState.SIGNING, KeyState.RETIRING)


def succeeded(terms: Collection[KeyTerm]) -> tuple[KeyTerm, ...]:
    """The same terms, each ended where another one of its domain takes its place."""
    return tuple(_ended(term, terms) for term in terms)


def _ended(term: KeyTerm, terms: Iterable[KeyTerm]) -> KeyTerm:
    for heir in terms:
        is_heir = heir.domain == term.domain and term.selector in heir.replaces
        if is_heir and heir.signs_from is not None and heir.signs_from < term.signs_until:
            term = replace(term, signs_until=heir.signs_from, overlap=heir.overlap)
    return term


def to_replace(terms: Iterable[KeyTerm], domain: str, kind: KeyKind, now: float) -> tuple[str, ...]:
    """The selectors that a new key of this domain and kind takes the place of."""
    return tuple(
        term.selector
        for term in terms
        if (term.domain, term.kind) == (domain, kind)
        and term.state_at(now) in (KeyState.SIGNING, KeyState.PLANNED)
    )


def next_selector(taken: Collection[str], latest: str) -> str:
    """A name for the key after `latest`, counted up: s1, s2, ...; none of those `taken`."""
    found = _NUMBERED.fullmatch(latest)
    stem, number = (found[1], int(found[2])) if found else (f"{latest}-", 1)
    while True:
        number += 1
        if f"{stem}{number}" not in taken:
            return f"{stem}{number}"


def ends(terms: Iterable[KeyTerm], now: float) -> dict[str, float]:
    """When each domain is without a key that signs, where that is now or soon, in Unix seconds."""
    last: dict[str, float] = {}
    for term in terms:
        if term.signs_from is not None and term.signs_from <= now + SOON:
            last[term.domain] = max(last.get(term.domain, -math.inf), term.signs_until)
        else:
            last.setdefault(term.domain, -math.inf)
    return {domain: at for domain, at in last.items() if at <= now + SOON}


def pause_before_look(waited: float) -> float:
    """Seconds until the DNS is looked at again for a record awaited for `waited` seconds."""
    return min(max(waited / 10, LEAST_PAUSE), MOST_PAUSE)
