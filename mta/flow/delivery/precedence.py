"""Which lane of a site goes first: one with mail that somebody waits for, before bulk."""

from collections import Counter

from mta.rules.delivery.priority import is_turn_of_bulk

from mta.flow.delivery.lane import Lane

Lanes = dict[str, dict[Lane, None]]  # by site, who came first before the others


class Precedence:
    """The lanes that stand in line for a connection, by their sites.

    Where urgent mail and bulk wait for one site, four slots of five go to the former, whoever
    asked for them.
    """

    def __init__(self) -> None:
        self._urgent: Lanes = {}
        self._bulk: Lanes = {}
        self._in_a_row: Counter[str] = Counter()  # slots for urgent mail, while bulk waited

    def enter(self, site: str, lane: Lane) -> None:
        """A lane stands in line from now on; or has urgent mail by now, which it had not."""
        self._leave(site, lane)
        lane.waits_as_bulk = not lane.urgent.has_mail
        lanes = self._bulk if lane.waits_as_bulk else self._urgent
        lanes.setdefault(site, {})[lane] = None

    def turn(self, site: str, lane: Lane) -> Lane:
        """Whose a slot is that this lane had asked for, and waits for no more."""
        self._leave(site, lane)
        is_urgent = lane.urgent.has_mail
        other = _first(self._bulk if is_urgent else self._urgent, site, is_urgent=not is_urgent)
        if other is None:
            self._in_a_row.pop(site, None)
            return lane
        if not lane.has_mail:
            return other
        urgent, bulk = (lane, other) if is_urgent else (other, lane)
        if is_turn_of_bulk(self._in_a_row[site]):
            del self._in_a_row[site]
            return bulk
        self._in_a_row[site] += 1
        return urgent

    def is_waited_for(self, site: str) -> bool:
        """Whether urgent mail stands in line for a site."""
        return _first(self._urgent, site, is_urgent=True) is not None

    def _leave(self, site: str, lane: Lane) -> None:
        lane.waits_as_bulk = False
        for lanes in (self._urgent, self._bulk):
            if site in lanes:
                lanes[site].pop(lane, None)


def _first(lanes: Lanes, site: str, *, is_urgent: bool) -> Lane | None:
    """Who came first, and goes to the end; those with no such mail any more do not count."""
    its = lanes.get(site)
    while its:
        lane = next(iter(its))
        del its[lane]
        if lane.has_mail and lane.urgent.has_mail is is_urgent and lane.may_travel:
            its[lane] = None
            return lane
    lanes.pop(site, None)
    return None
