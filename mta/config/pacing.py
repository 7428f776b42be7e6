"""The settings of pacing: how much each site is sent, over the shipped table."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Annotated

from pydantic import BeforeValidator

from mta.rules.pacing.limits import (
    COMMON_SCHEDULE,
    DAY,
    DEFAULT,
    LOCAL,
    SHIPPED,
    SMARTHOST,
    Pacing,
    SiteChanges,
    WarmUp,
)
from mta.rules.pacing.sites import PROVIDERS

from mta.config.dkim import Moment
from mta.config.kinds import Count, DurationOrZero, Section
from mta.config.quantities import read_domain

EXPECTED_SITE = (
    "expected default, a site such as google or smarthost:HOST, the end of its mail exchangers' "
    "names such as *.example.net, or what a route has as pacing"
)


def read_site(value: object) -> str:
    """A site by its name, or by the end of its mail exchangers' names."""
    text = value if isinstance(value, str) else ""
    if text.startswith((SMARTHOST, LOCAL)):
        return text
    try:
        return read_domain(text.removeprefix("*."))
    except ValueError as error:
        raise ValueError(EXPECTED_SITE) from error


class WarmUpDays(Section):
    """How many messages a new address sends, day by day."""

    since: Moment
    daily: tuple[Count, ...] = COMMON_SCHEDULE

    @property
    def warm_up(self) -> WarmUp:
        """The same, as the rules want it: days begin at midnight, UTC."""
        return WarmUp(self.since // DAY * DAY, self.daily)


class SitePacing(Section):
    """How much one site is sent; what is not given is as in the shipped table."""

    site: Annotated[str, BeforeValidator(read_site)]
    connections: Count | None = None
    first_connections: Count | None = None
    messages_per_connection: Count | None = None
    messages_per_hour: Count | None = None
    pause: DurationOrZero | None = None
    warm_up: WarmUpDays | None = None

    @property
    def changes(self) -> SiteChanges:
        """The same, as the rules want it."""
        return SiteChanges(
            connections=self.connections,
            messages=self.messages_per_connection,
            per_hour=self.messages_per_hour,
            pause=self.pause,
            warm_up=self.warm_up.warm_up if self.warm_up else None,
            first_connections=self.first_connections,
        )


def objections_to(
    entries: Sequence[SitePacing], of_routes: Collection[str]
) -> Iterator[tuple[str, str]]:
    """What cannot be in the entries; `of_routes` are the sites that routes name."""
    known = {DEFAULT, *PROVIDERS.values(), *of_routes}
    for place, entry in enumerate(entries):
        site = entry.site
        if site not in known and "." not in site and ":" not in site:
            yield f"pacing[{place}].site", f'{EXPECTED_SITE}, got "{site}"'
        if any(one.site == site for one in entries[:place]):
            yield "pacing", f"expected each site once, got {site} again"


def pacing_of(entries: Iterable[SitePacing]) -> Pacing:
    """The shipped table, with an operator's entries over it."""
    changes, names = dict(SHIPPED), dict(PROVIDERS)
    for entry in entries:
        changes[entry.site] = entry.changes.over(changes.get(entry.site, SiteChanges()))
        if "." in entry.site and ":" not in entry.site:
            names[entry.site] = entry.site
    return Pacing(changes, names)
