"""How much each site takes of us: a shipped table, over which an operator's settings go.

Each row is where a good sender may go, not where all begin: `pace` begins lower and learns.
Hardly any receiver publishes numbers. Where one does, or says why not, the row says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import floor
from types import MappingProxyType
from typing import TypeVar

from mta.rules.pacing.sites import PROVIDERS

L = TypeVar("L", "SiteLimits", "SiteChanges")

DAY = 86_400.0  # seconds
SMARTHOST = "smarthost:"  # the name of its site begins so,
LOCAL = "local:"  # and of a place on this machine
DEFAULT = "default"  # in the place of a site's name: what holds for all

# What a new address may send to one site, day by day: twice as much each day, as large senders
# advise. Google wants it slow, and without jumps (support.google.com/a/answer/81126).
COMMON_SCHEDULE = (50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400)


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How a new address becomes known: so many messages on each day (UTC) since `begins_at`.

    After the last of `daily` there is no cap. `begins_at` is in Unix seconds, at midnight UTC.
    """

    begins_at: float
    daily: Sequence[int] = COMMON_SCHEDULE

    def cap_at(self, now: float) -> int | None:
        """How many messages today; None: as many as there are."""
        day = max(0, floor((now - self.begins_at) / DAY))
        return self.daily[day] if day < len(self.daily) else None


@dataclass(frozen=True, slots=True)
class SiteLimits:
    """The most that a site is sent; None is no limit.

    `connections` at once and `messages` over each, `per_hour` messages over all, `pause` seconds
    from the beginning of one connection to that of the next. It begins with `first_connections`.
    """

    connections: int
    messages: int
    per_hour: float | None = None
    pause: float = 0.0
    warm_up: WarmUp | None = None
    first_connections: int = 5  # Postfix begins with as many (initial_destination_concurrency)


@dataclass(frozen=True, slots=True)
class SiteChanges:
    """What is known of one site, over what holds for all; None leaves that as it is."""

    connections: int | None = None
    messages: int | None = None
    per_hour: float | None = None
    pause: float | None = None
    warm_up: WarmUp | None = None
    first_connections: int | None = None

    def over(self, limits: L) -> L:
        """The limits, or other changes, with these."""
        given = {name: getattr(self, name) for name in self.__slots__}
        return replace(
            limits, **{name: value for name, value in given.items() if value is not None}
        )


SHIPPED: Mapping[str, SiteChanges] = MappingProxyType(
    {
        # No number is published: send at a consistent rate, no bursts, grow slowly, send less when
        # messages are deferred (support.google.com/a/answer/81126). Gmail counts by address and
        # by signing domain. KumoMTA ships 5 connections and 50 messages.
        "google": SiteChanges(connections=10, messages=50),
        # Whom it does not know soon hears 451 4.7.650, and then S3140. Its policies forbid more
        # than 500 connections (sendersupport.olc.protection.outlook.com/pm/policies), which is
        # far more than a new address gets. KumoMTA ships 5 and 50.
        "microsoft-consumer": SiteChanges(connections=5, messages=50, first_connections=2),
        # All tenants share the gateways, and an address that they do not know is throttled for
        # all together (451 4.7.500 Server busy). KumoMTA ships 5 and 50.
        "microsoft": SiteChanges(connections=10, messages=50),
        # 20 messages, then it hangs up; several connections, with respect
        # (help.yahoo.com/kb/SLN3433.html, senders.yahooinc.com/best-practices).
        "yahoo": SiteChanges(connections=10, messages=20),
        # Publishes none (support.apple.com/102322). KumoMTA ships 10 and 5.
        "apple": SiteChanges(connections=10, messages=5),
        # Told KumoMTA of 25 and 1000 itself (spa.xfinity.com/postmaster).
        "comcast": SiteChanges(connections=25),
        # A fourth connection from one address is refused (KumoMTA ships 3).
        "orange": SiteChanges(connections=3, first_connections=2),
        # Told KumoMTA of 10 and 100, for each of its regions.
        "mimecast": SiteChanges(connections=10, messages=100),
    }
)


@dataclass(frozen=True, slots=True)
class Pacing:
    """The limits of every site; `names` are the sites' names by the ends of their hosts' names."""

    changes: Mapping[str, SiteChanges] = field(default_factory=lambda: SHIPPED)
    names: Mapping[str, str] = field(default_factory=lambda: PROVIDERS)

    def limits_of(self, site: str, default: SiteLimits) -> SiteLimits:
        """One site's limits, over what holds for those of which nothing is known."""
        if site.startswith((SMARTHOST, LOCAL)):  # they expect us, as many as there may be
            default = replace(default, first_connections=default.connections)
        for name in (DEFAULT, site):
            changes = self.changes.get(name)
            default = default if changes is None else changes.over(default)
        return default
