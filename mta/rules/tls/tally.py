"""Counts what came of TLS, by day, domain and policy, until it is reported (RFC 8460 §4)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from mta.model.tlsreport import Applied, Counted, Failing

DAY = 86_400
MAX_DOMAINS = 20_000  # of all days; past that no new one is counted
MAX_POLICIES = 10  # of one domain on one day; past that they are counted as the last
MAX_FAILURES = 50  # kinds of failure under one policy; past that they have no host
MAX_TEXT = 200  # characters of what a failure says
MAX_WEIGHT = 16 << 20  # characters of all policies together; past that they have no text


def day_of(now: float) -> int:
    """The day in UTC, a number since 1970-01-01; `now` is in Unix seconds."""
    return int(now // DAY)


@dataclass(slots=True)
class _Counts:
    successes: int = 0
    failures: Counter[Failing] = field(default_factory=Counter)


class Tally:
    """What was counted and is not reported yet. Its memory has a bound, whatever is published."""

    def __init__(self) -> None:
        self._days: dict[tuple[int, str], dict[Applied, _Counts]] = {}  # by day and domain
        self._weight = 0
        self._is_changed = False

    def succeeded(self, applied: Applied, now: float) -> None:
        """A connection had all that its policy asks for."""
        counts = self._of(applied, now)
        if counts is not None:
            counts.successes += 1

    def failed(self, applied: Applied, failing: Failing, now: float) -> None:
        """One had not; whether mail was sent all the same."""
        counts = self._of(applied, now)
        if counts is None:
            return
        kind = Failing(failing.kind, failing.host, failing.address, failing.text[:MAX_TEXT])
        if kind not in counts.failures and len(counts.failures) >= MAX_FAILURES:
            kind = Failing(failing.kind)
        counts.failures[kind] += 1

    def of_domain(self, domain: str, day: int) -> list[Counted]:
        """What was counted of one domain on one day."""
        return [
            Counted(day, applied, counts.successes, tuple(counts.failures.items()))
            for applied, counts in self._days.get((day, domain), {}).items()
        ]

    def finished(self, now: float) -> list[tuple[int, str]]:
        """The days that are over, each with a domain of which something was counted."""
        today = day_of(now)
        return [key for key in self._days if key[0] < today]

    def settle(self, day: int, domain: str) -> None:
        """Forget what is reported, or is not to be."""
        settled = self._days.pop((day, domain), {})
        self._weight -= sum(map(_weight, settled))
        self._is_changed = True

    @property
    def counted(self) -> list[Counted]:
        """All of it."""
        return [one for day, domain in self._days for one in self.of_domain(domain, day)]

    def changed(self) -> list[Counted] | None:
        """What is to be kept over a restart; None where nothing is new since it was asked for."""
        if not self._is_changed:
            return None
        self._is_changed = False
        return self.counted

    def restore(self, counted: Iterable[Counted]) -> None:
        """Go on where an earlier life of ours ended."""
        for one in counted:
            counts = _Counts(one.successes, Counter(dict(one.failures)))
            of_domain = self._days.setdefault((one.day, one.applied.domain), {})
            of_domain[one.applied] = counts
            self._weight += _weight(one.applied)

    def _of(self, applied: Applied, now: float) -> _Counts | None:
        self._is_changed = True
        key = day_of(now), applied.domain
        of_domain = self._days.get(key)
        if of_domain is None:
            if len(self._days) >= MAX_DOMAINS:
                return None
            of_domain = self._days[key] = {}
        counts = of_domain.get(applied)
        return counts if counts is not None else self._new(applied, of_domain)

    def _new(self, applied: Applied, of_domain: dict[Applied, _Counts]) -> _Counts:
        """The counts of a policy that is new today."""
        if len(of_domain) >= MAX_POLICIES:
            return next(reversed(of_domain.values()))
        if self._weight + _weight(applied) > MAX_WEIGHT:
            applied = Applied(applied.domain, applied.kind)
        self._weight += _weight(applied)
        return of_domain.setdefault(applied, _Counts())


def _weight(applied: Applied) -> int:
    return sum(map(len, applied.lines)) + sum(map(len, applied.mx))
