"""Whose site a destination is: found once by the DNS, then known for a while."""

from collections.abc import Callable, Mapping

from mta.model.domain import Finding
from mta.model.envelope import Destination

from mta.rules.delivery.routing import literal_route
from mta.rules.pacing.sites import PROVIDERS, site_of

from mta.flow.ports import Clock, Lookup

KEPT = 900.0  # seconds that a site is known; providers seldom change
KEPT_UNKNOWN = 1.0  # seconds where the DNS does not answer: as long as one attempt


class Sites:
    """Knows the sites of destinations.

    `fixed` names the site of a destination whose mail does not go by MX records; None for all
    others. `named` has the names of providers by the ends of their hosts' names. About as many
    as `remembered` are kept.
    """

    def __init__(
        self,
        *,
        lookup: Lookup,
        fixed: Callable[[Destination], str | None],
        clock: Clock,
        named: Mapping[str, str] = PROVIDERS,
        remembered: int = 50_000,
    ) -> None:
        self._lookup = lookup
        self._fixed = fixed
        self._clock = clock
        self._named = named
        self._remembered = remembered
        self._found: dict[Destination, tuple[str, float]] = {}

    def renew(self, lookup: Lookup, named: Mapping[str, str]) -> None:
        """Find all of them anew, with these: the settings have changed."""
        self._lookup, self._named = lookup, named
        self._found.clear()

    def known(self, destination: Destination) -> str | None:
        """The site, where it is known; None: it has to be found."""
        entry = self._found.get(destination)
        if entry is not None and entry[1] > self._clock():
            return entry[0]
        return self._without_dns(destination)

    async def find(self, destination: Destination) -> str:
        """Find the site, in as much time as a DNS lookup may take.

        A domain that the DNS does not know now stands for itself, and is looked up again soon.
        """
        domain = destination.domain
        answer = await self._lookup.mx(domain)
        site = site_of(domain, answer.records, self._named)
        is_unknown = answer.finding is Finding.UNKNOWN
        self._keep(destination, site, KEPT_UNKNOWN if is_unknown else KEPT)
        return site

    def _without_dns(self, destination: Destination) -> str | None:
        site = self._fixed(destination)
        if site is None and literal_route(destination.domain) is not None:
            site = destination.domain
        if site is not None:
            self._keep(destination, site, KEPT)
        return site

    def _keep(self, destination: Destination, site: str, seconds: float) -> None:
        now = self._clock()
        if len(self._found) >= self._remembered:
            fresh = [item for item in self._found.items() if item[1][1] > now]
            self._found = dict(fresh[-self._remembered // 2 :])
        self._found[destination] = (site, now + seconds)
