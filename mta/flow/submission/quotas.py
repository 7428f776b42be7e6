"""What every client and every user sent lately, and whether more is allowed."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mta.model.outcome import Reply
from mta.model.site import site_of
from mta.model.user import NO_LIMIT, Allowance, User

from mta.rules.submission.quota import (
    DAY,
    EMPTY,
    HOUR,
    Account,
    Load,
    Shortage,
    charged,
    is_forgotten,
    shortage,
)

from mta.flow.ports import Clock

MAX_ACCOUNTS = 100_000  # past which who was not heard of for longest is forgotten

Allowances = Mapping[float, Allowance]  # by the length of their windows in seconds


@dataclass(frozen=True, slots=True)
class QuotaTerms:
    """The allowances of each client's address and of all clients together."""

    client_per_hour: Allowance = NO_LIMIT
    client_per_day: Allowance = NO_LIMIT
    total_per_hour: Allowance = NO_LIMIT
    total_per_day: Allowance = NO_LIMIT


class Quotas:
    """Keeps an account for everybody whom an allowance limits, and for nobody else."""

    def __init__(self, *, terms: QuotaTerms, clock: Clock) -> None:
        self.replace_terms(terms)
        self._clock = clock
        self._accounts: dict[str, Account] = {}
        self._is_changed = False

    def changed_accounts(self) -> dict[str, Account] | None:
        """What is to be kept over a restart; None where nothing is new since it was asked for."""
        if not self._is_changed:
            return None
        self._is_changed = False
        return dict(self._accounts)

    def restore(self, accounts: Mapping[str, Account]) -> None:
        """Go on where an earlier life of ours ended."""
        self._accounts = dict(accounts)

    def replace_terms(self, terms: QuotaTerms) -> None:
        """Use other allowances from now on; what was counted stays."""
        self._client = _limiting(terms.client_per_hour, terms.client_per_day)
        self._total = _limiting(terms.total_per_hour, terms.total_per_day)

    def objection(self, load: Load, address: str, user: User | None = None) -> Reply | None:
        """Why so much more is not taken now, and when it may be."""
        found = self._shortage(load, address, user)
        return None if found is None else _refusal(*found)

    def wait(self, load: Load, address: str, user: User | None = None) -> float:
        """Seconds until so much more is taken; 0 where it is now, or never will be."""
        found = self._shortage(load, address, user)
        return 0.0 if found is None or math.isinf(found[0].seconds) else found[0].seconds

    def _shortage(self, load: Load, address: str, user: User | None) -> tuple[Shortage, str] | None:
        """What there is too much of, and whose allowance says so."""
        if not (self._client or self._total or user):
            return None
        now = self._clock()
        for name, whose, allowances in self._limited(address, user):
            found = shortage(self._accounts.get(name, EMPTY), load, allowances, now)
            if found is not None:
                return found, whose
        return None

    def charge(self, load: Load, address: str, user: User | None = None) -> None:
        """Count what was taken."""
        if not (self._client or self._total or user):
            return
        now = self._clock()
        for name, _, _ in self._limited(address, user):
            # At the end: the others have not been heard of for longer.
            self._accounts[name] = charged(self._accounts.pop(name, EMPTY), load, now)
            self._is_changed = True
        if len(self._accounts) > MAX_ACCOUNTS:
            self._forget(now)

    def _limited(self, address: str, user: User | None) -> Iterator[tuple[str, str, Allowances]]:
        """The accounts that limit a client, each with its name for people and its allowances."""
        if self._client:
            yield f"client {site_of(address)}", "from your address", self._client
        if self._total:
            yield "total", "from all clients", self._total
        if user is not None and (own := _limiting(user.per_hour, user.per_day)):
            yield f"user {user.name}", "from you", own

    def _forget(self, now: float) -> None:
        left = {n: a for n, a in self._accounts.items() if not is_forgotten(a, now)}
        for name in list(left)[: max(0, len(left) - MAX_ACCOUNTS * 9 // 10)]:
            del left[name]
        self._accounts = left


def _limiting(per_hour: Allowance, per_day: Allowance) -> Allowances:
    """The allowances by their windows; none where they limit nothing."""
    if per_hour == per_day == NO_LIMIT:
        return {}
    return {HOUR: per_hour, DAY: per_day}


def _refusal(found: Shortage, whose: str) -> Reply:
    window = "an hour" if found.window == HOUR else "a day"
    if found.seconds == math.inf and found.kind == "octets":
        return Reply(552, f"The message has more octets than are taken {whose} in {window}", 3, 4)
    if found.seconds == math.inf:
        return Reply(452, f"No more {found.kind} at once are taken {whose}", 5, 3)
    text = f"Too many {found.kind} {whose} in {window}; come again in {_said(found.seconds)}"
    return Reply(421, text, 7, 0) if found.kind == "connections" else Reply(450, text, 7, 1)


def _said(seconds: float) -> str:
    """A time as people say it, never less than it is."""
    minutes = math.ceil(seconds / 60)
    if minutes < 2:
        return f"{max(1, math.ceil(seconds))} s"
    return f"{minutes} min" if minutes < 120 else f"{math.ceil(seconds / 3600)} h"
