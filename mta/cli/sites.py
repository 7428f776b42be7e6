"""`mta queue sites`: what holds back the mail for which receiver, until when, and why."""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from mta.model.text import printable

from mta.rules.delivery.closure import ShutRoad
from mta.rules.pacing.limits import SiteLimits
from mta.rules.pacing.pace import SiteState, as_of

from mta.flow.delivery.siteroom import SiteRoom

from mta.edge.memory.pace import read_paces
from mta.edge.memory.roads import read_roads

from mta.cli.options import Commands, add_command, with_settings
from mta.config import Settings
from mta.processes.share import spools_in
from mta.wiring.fittings import room_of
from mta.wiring.pacebook import FILE as PACES
from mta.wiring.upkeep import ROADS


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a site stands, as it is shown. `until` is in Unix seconds, 0.0 where nobody knows."""

    site: str
    state: str  # free, slow, shut, probing, warm-up or road-shut
    words: str
    until: float = 0.0
    rule: str = ""
    cause: str = ""
    reply: str = ""
    connections: int | None = None
    connections_at_most: int | None = None
    sent_today: int | None = None
    cap_today: int | None = None

    def plain(self) -> dict[str, object]:
        """As JSON has it; what does not apply is left out."""
        shown = {name: getattr(self, name) for name in self.__slots__}
        shown["until"] = datetime.fromtimestamp(self.until, UTC).isoformat() if self.until else None
        return {name: value for name, value in shown.items() if value not in (None, "")}

    def line(self, now: float) -> str:
        """As people read it."""
        text = f"{self.site}: {self.words}"
        if self.cap_today is not None and self.state == "warm-up":
            text = f"{self.site}: {self.sent_today} of {self.cap_today} messages today (warm-up)"
        if self.until:
            text += f" until {_clock(self.until, now)}"
        if self.connections is not None:
            text += f", {self.connections} of {self.connections_at_most} connections"
        if self.reply:
            text += f": {self.reply}"
        return printable(text + (f" (rule {self.rule})" if self.rule else ""))


def add_sites_to(actions: Commands) -> None:
    """Add `mta queue sites`."""
    parser = add_command(
        actions,
        "sites",
        about="Show the receivers whose mail is held back: how much goes, until when, and why.",
        example="  mta queue sites --json",
    )
    parser.add_argument(
        "--all", action="store_true", help="also those that are sent as much as there is"
    )
    parser.set_defaults(run=with_settings(show_sites))


def show_sites(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print how each site stands of which anything is known."""
    now = time.time()
    try:
        known = list(_standings(settings, now))
    except (OSError, ValueError) as error:
        print(f"mta queue sites: {error}", file=sys.stderr)
        return 1
    standings = [one for one in known if arguments.all or one.state != "free"]
    if arguments.json:
        print(json.dumps([standing.plain() for standing in standings], indent=2))
        return 0
    for standing in standings:
        print(standing.line(now))
    if not standings:
        print("no site is held back")
    return 0


def _standings(settings: Settings, now: float) -> Iterator[Standing]:
    room = room_of(settings)
    for state in read_paces(settings.spool / PACES):
        yield of_state(state, room.limits_of(state.site), now)
    for spool in spools_in(settings.spool):
        yield from of_roads(read_roads(spool / ROADS), now)


def of_state(state: SiteState, limits: SiteLimits, now: float) -> Standing:
    """How a site stands by what was kept of it."""
    site = SiteRoom(state.site, limits, now)
    site.restore(state)
    left, pace = site.left_today(now), as_of(state.pace, now)
    throttle = site.throttle(now)
    trouble = throttle.trouble
    return Standing(
        site=state.site,
        state=_state(site, left),
        words="one message finds out" if pace.is_probing else throttle.words,
        until=throttle.until,
        rule=trouble.rule if trouble else "",
        cause=trouble.cause if trouble else "",
        reply=str(trouble.outcome.reply) if trouble else "",
        connections=None if throttle.is_shut else int(pace.window),
        connections_at_most=None if throttle.is_shut else limits.connections,
        sent_today=None if left is None else site.sent_today,
        cap_today=None if left is None else left + site.sent_today,
    )


def of_roads(roads: Iterable[ShutRoad], now: float) -> Iterator[Standing]:
    """The direct roads that are shut, so that mail takes the second one."""
    for road in roads:
        closure = road.closure
        if closure.is_in_force and closure.until > now:
            yield Standing(
                site=road.name,
                state="road-shut",
                words=f"by the second road ({closure.reason})",
                until=closure.until,
                reply=str(closure.outcome.reply),
            )


def _state(site: SiteRoom, left: int | None) -> str:
    pace = site.pace
    if pace.is_shut:
        return "shut"
    if pace.is_probing:
        return "probing"
    if pace.rate:
        return "slow"
    return "free" if left is None else "warm-up"


def _clock(at: float, now: float) -> str:
    moment = datetime.fromtimestamp(at, UTC).astimezone()
    return moment.strftime("%H:%M" if at - now < 20 * 3600 else "%Y-%m-%d %H:%M")
