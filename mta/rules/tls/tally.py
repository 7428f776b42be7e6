"""Counts what came of TLS, by day, domain and policy, until it is reported (RFC 8460 §4)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from mta.model.tlsreport import Applied, Counted, Failing

DAY = 86_400
MAX_POLICIES = 20_000  # of all days; past that no new one is counted
MAX_FAILURES = 50  # kinds of failure under one policy; past that they have no host
MAX_TEXT = 200  # characters of what a failure says


def day_of(now: float) -> int:
    """The day in UTC, a number since 1970-01-01; `now` is in Unix seconds."""
    return int(now // DAY)


@dataclass(slots=True)
class _Counts:
    successes: int = 0
    failures: Counter[Failing] = field(default_factory=Counter)


class Tally:
    """What was counted and is not reported yet."""

    def __init__(self) -> None:
        self._counts: dict[tuple[int, Applied], _Counts] = {}
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
        return [one for one in self.counted if one.day == day and one.applied.domain == domain]

    def finished(self, now: float) -> list[tuple[int, str]]:
        """The days that are over, each with a domain of which something was counted."""
        today = day_of(now)
        found = [(day, applied.domain) for day, applied in self._counts if day < today]
        return list(dict.fromkeys(found))

    def settle(self, day: int, domain: str) -> None:
        """Forget what is reported, or is not to be."""
        for key in [k for k in self._counts if k[0] == day and k[1].domain == domain]:
            del self._counts[key]
            self._is_changed = True

    @property
    def counted(self) -> list[Counted]:
        """All of it."""
        return [
            Counted(day, applied, counts.successes, tuple(counts.failures.items()))
            for (day, applied), counts in self._counts.items()
        ]

    def changed(self) -> list[Counted] | None:
        """What is to be kept over a restart; None where nothing is new since it was asked for."""
        if not self._is_changed:
            return None
        self._is_changed = False
        return self.counted

    def restore(self, counted: Iterable[Counted]) -> None:
        """Go on where an earlier life of ours ended."""
        for one in counted:
            failures = Counter(dict(one.failures))
            self._counts[one.day, one.applied] = _Counts(one.successes, failures)

    def _of(self, applied: Applied, now: float) -> _Counts | None:
        self._is_changed = True
        key = day_of(now), applied
        counts = self._counts.get(key)
        if counts is None and len(self._counts) < MAX_POLICIES:
            counts = self._counts[key] = _Counts()
        return counts
