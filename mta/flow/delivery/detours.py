"""Which direct roads are shut, so that no more mail tries them in vain: by domain, and by site."""

from collections.abc import Callable, Iterable, Sequence

from mta.model.envelope import Consignment, Destination, MessageId, Reason
from mta.model.event import Event, Kind
from mta.model.outcome import Outcome, Verdict

from mta.rules.delivery.closure import Closure, ShutRoad, Word, after_word, word_on_the_road
from mta.rules.delivery.fallback import FallbackPlan

from mta.flow.ports import Clock, EventLog

MOST = 10_000  # roads that are remembered
PROBE_LIMIT = 900.0  # seconds after which a probe that nobody heard of again is another's turn


class Detours:
    """Remembers which roads are shut, and lets one message probe each when its time has come.

    That hosts cannot be reached, or have no TLS, is said of a domain; of a whole site, where it is
    true of two domains of it. That our address is refused is said of the site at once.
    `site_of` says who serves a destination, where that is known.
    """

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
        self._shut: dict[str, ShutRoad] = {}
        self._probes: dict[str, tuple[MessageId, float]] = {}
        self._has_changed = False
        self.is_any_shut = False

    @property
    def roads(self) -> Sequence[ShutRoad]:
        """All that is remembered, the oldest first."""
        return tuple(self._shut.values())

    def changed_roads(self) -> Sequence[ShutRoad] | None:
        """The same, if it has changed since this was asked; else None."""
        if not self._has_changed:
            return None
        self._has_changed = False
        return self.roads

    def restore(self, roads: Iterable[ShutRoad]) -> None:
        """Go on with what an earlier life knew."""
        self._shut = {road.name: road for road in roads}
        self.is_any_shut = bool(self._shut)

    def barrier_to(self, consignment: Consignment) -> Closure | None:
        """What keeps mail from its direct road; None: it may go, and is a probe if one is due."""
        for name in self._names(consignment.destination):
            road = self._shut.get(name)
            if road is None or not road.closure.is_in_force:
                continue
            if not self._may_probe(road, consignment.envelope.id):
                return road.closure
        return None

    def is_probe(self, consignment: Consignment) -> bool:
        """Whether this one was let through to see."""
        if not self._probes:
            return False
        id = consignment.envelope.id
        names = self._names(consignment.destination)
        return any(self._probes.get(name, ("",))[0] == id for name in names)

    def learn(
        self, consignment: Consignment, outcomes: Sequence[Outcome], plan: FallbackPlan
    ) -> None:
        """Take what an attempt on the direct road says of it."""
        if not self.is_any_shut and outcomes[0].verdict is Verdict.DELIVERED:  # as nearly always
            return
        word = word_on_the_road(outcomes)
        names = self._names(consignment.destination)
        for name in names if self._probes else ():
            if name in self._probes and self._probes[name][0] == consignment.envelope.id:
                del self._probes[name]
        if word is None:
            return
        if word.reason is Reason.TLS and consignment.envelope.request.needs_tls:
            return  # it asked for more than others do (RFC 8689)
        if word.reason is None:
            for name in names if self._shut else ():
                self._open(name, word.outcome)
        elif word.reason in plan.reasons:
            self._close(consignment.destination.domain, names[-1], word, plan)

    def _names(self, destination: Destination) -> tuple[str, ...]:
        """A domain and its site, where that is known to be another."""
        site = self._site_of(destination)
        domain = destination.domain
        return (domain,) if site is None or site == domain else (domain, site)

    def _may_probe(self, road: ShutRoad, id: MessageId) -> bool:
        now = self._clock()
        prober, until = self._probes.get(road.name, (None, 0.0))
        if prober == id:
            return True
        if now < road.closure.until or now < until:
            return False
        self._probes[road.name] = (id, now + PROBE_LIMIT)
        return True

    def _close(self, domain: str, site: str, word: Word, plan: FallbackPlan) -> None:
        name = site if word.reason is Reason.BLOCKED else domain
        self._shut_road(name, site, word, plan)
        if name != site and self._has_company(name, site, word.reason):
            self._shut_road(site, site, word, plan)

    def _has_company(self, domain: str, site: str, reason: Reason | None) -> bool:
        """Whether another domain of a site is shut for the same reason; a name's DNS is its own."""
        now = self._clock()
        return reason is not Reason.DNS and any(
            road.site == site and road.name not in (domain, site) and road.closure.reason is reason
            for road in self._shut.values()
            if road.closure.until > now
        )

    def _shut_road(self, name: str, site: str, word: Word, plan: FallbackPlan) -> None:
        before = self._shut.get(name)
        known = None if before is None else before.closure
        closure = after_word(known, word, plan, self._clock())
        if closure is None or closure is known:
            return
        self._shut[name] = ShutRoad(name, site, closure)
        self._note_change()
        if len(self._shut) > MOST:
            del self._shut[min(self._shut, key=lambda one: self._shut[one].closure.until)]
        if closure.is_in_force:
            self._say(Kind.ROAD_SHUT, name, closure, closure.outcome)

    def _open(self, name: str, outcome: Outcome) -> None:
        road = self._shut.pop(name, None)
        self._probes.pop(name, None)
        if road is None:
            return
        self._note_change()
        if road.closure.is_in_force:
            self._say(Kind.ROAD_OPENED, name, road.closure, outcome)

    def _note_change(self) -> None:
        self.is_any_shut, self._has_changed = bool(self._shut), True

    def _say(self, kind: Kind, name: str, closure: Closure, outcome: Outcome) -> None:
        self._events.emit(
            Event(
                kind=kind,
                at=self._clock(),
                site=name,
                stage=outcome.stage,
                host=outcome.host,
                reply=outcome.reply,
                next_at=closure.until if kind is Kind.ROAD_SHUT else None,
                text=closure.reason,
            )
        )
