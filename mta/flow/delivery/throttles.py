"""Which sites are held back, as their keeper says: told as events, known where mail waits."""

from collections.abc import Callable

from mta.model.envelope import Destination
from mta.model.event import Event, Kind
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict
from mta.model.pace import Throttle

from mta.flow.ports import Clock, EventLog


class Throttles:
    """Remembers the sites that are sent little or nothing; `site_of` gives a destination's."""

    def __init__(
        self,
        *,
        site_of: Callable[[Destination], str | None],
        events: EventLog,
        clock: Clock,
    ) -> None:
        self._site_of = site_of
        self._events = events
        self._clock = clock
        self._shut: dict[str, Throttle] = {}
        self._slow: dict[str, Throttle] = {}
        self.is_any_shut = False
        self.is_any_slow = False

    def hear(self, throttle: Throttle, *, is_news: bool) -> None:
        """A site is held back like this from now on."""
        for known, is_so in ((self._shut, throttle.is_shut), (self._slow, throttle.rate > 0)):
            known.pop(throttle.site, None)
            if is_so:
                known[throttle.site] = throttle
        self.is_any_shut, self.is_any_slow = bool(self._shut), bool(self._slow)
        if is_news:
            self._say(throttle)

    def barrier_to(self, destination: Destination) -> Throttle | None:
        """What keeps all mail from there now; None: nothing does."""
        throttle = self._shut.get(self._site_of(destination) or "")
        return throttle if throttle is not None and throttle.until > self._clock() else None

    def slow(self, site: str) -> Throttle | None:
        """How a site is held back that is sent a little; None where it is not."""
        return self._slow.get(site)

    def _say(self, throttle: Throttle) -> None:
        outcome = None if throttle.trouble is None else throttle.trouble.outcome
        ruling = None if outcome is None else outcome.ruling
        self._events.emit(
            Event(
                kind=Kind.THROTTLED,
                at=self._clock(),
                site=throttle.site,
                stage=None if outcome is None else outcome.stage,
                reply=None if outcome is None else outcome.reply,
                cause=None if ruling is None else ruling.cause,
                rule=None if ruling is None else ruling.rule,
                next_at=throttle.until or None,
                text=throttle.words,
            )
        )


def outcome_of(throttle: Throttle) -> Outcome:
    """The outcome for mail that is put off, untried, because its site is shut."""
    if throttle.trouble is not None:
        return throttle.trouble.outcome
    text = f"{throttle.site} has had as much of us as the warm-up allows for today"
    return Outcome(Verdict.DEFERRED, Reply(451, text, 7, 0), Stage.CONNECT, Scope.MESSAGE)
