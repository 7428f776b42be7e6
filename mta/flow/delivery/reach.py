"""What can be reached from here: IP versions by our reverse names, hosts by what was tried."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from mta.model.domain import Answer, Host
from mta.model.outcome import Outcome, Stage
from mta.model.source import Source

from mta.rules.delivery.families import (
    Families,
    Ipv6,
    Papers,
    Standing,
    families_for,
    names_to_confirm,
    objection_to,
    papers_of,
    unseen,
)

from mta.flow.ports import Clock, ReverseLookup, Session

log = logging.getLogger(__name__)

LOOK_INTERVAL = 86_400.0  # seconds between looks at our names in the DNS
RETRY_INTERVAL = 300.0  # the same, while the DNS does not answer
MEMORY = 600.0  # seconds for which a host that could not be reached is tried last
MAX_REMEMBERED = 1_000  # hosts; a host is soon found again to be out of reach


class Reach:
    """What one road may use. Until `look` was called IPv6 is used as if it had no reverse name."""

    def __init__(
        self,
        *,
        ipv6: Ipv6,
        sources: Sequence[Source],
        lookup: ReverseLookup,
        own_address: Callable[[int], str | None],
        clock: Clock,
    ) -> None:
        """`own_address` gives what the system sends from by an IP version, without sources."""
        self._ipv6 = ipv6
        self._sources = sources
        self._lookup = lookup
        self._own_address = own_address
        self._clock = clock
        self._lost: dict[Host, float] = {}  # until when
        self._papers: Sequence[Papers] = ()
        self._look_at = 0.0
        self.families: Families = families_for(ipv6, ())

    # Our own addresses

    async def look_if_due(self, *, tells: bool = True) -> None:
        """Look at our names: once, daily, and sooner while the DNS does not answer.

        `tells` whether the log hears of it: several processes find the same.
        """
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + RETRY_INTERVAL
            found = await self.look(tells=tells)
            if all(one.standing is not Standing.UNKNOWN for one in found):
                self._look_at = now + LOOK_INTERVAL

    async def look(self, *, tells: bool = True) -> Sequence[Papers]:
        """Ask the DNS for our own names, and go by them. What has changed is told in the log.

        Where the DNS cannot be asked, what it said before stays in force.
        """
        found = await self.papers()
        before = {one.address: one for one in self._papers}
        for one in found if tells else ():
            self._tell(one, before.get(one.address))
        self._papers = [
            before.get(one.address, one) if one.standing is Standing.UNKNOWN else one
            for one in found
        ]
        self.families = families_for(self._ipv6, self._papers)
        return found

    async def papers(self) -> Sequence[Papers]:
        """What the DNS says of each address that we send from."""
        if self._sources:
            asked = [self._papers_of(source.version, source.address) for source in self._sources]
        else:
            asked = [self._papers_of(version, self._own_address(version)) for version in (4, 6)]
        return await asyncio.gather(*asked)

    async def _papers_of(self, version: int, address: str | None) -> Papers:
        if address is None or not ip_address(address).is_global:
            return unseen(version, address)
        pointers = await self._lookup.pointers(address)
        names = names_to_confirm(pointers)
        answers: Sequence[Answer[str]] = await asyncio.gather(*map(self._lookup.addresses, names))
        return papers_of(address, pointers, dict(zip(names, answers, strict=True)))

    def _tell(self, papers: Papers, before: Papers | None) -> None:
        objection = objection_to(papers, self._ipv6)
        is_news = before is None or before.standing is not papers.standing
        if objection is not None and is_news:
            log.warning("%s", objection)
        elif before is not None and is_news:
            log.info("%s", papers.text)

    # Hosts

    def note(self, host: Host, reached: Session | Outcome) -> None:
        """Learn whether a host could be reached: connected to, and heard to greet."""
        if not isinstance(reached, Outcome):
            if self._lost:
                self._lost.pop(host, None)
        elif not reached.is_from_peer and reached.stage in (Stage.CONNECT, Stage.GREETING):
            if len(self._lost) >= MAX_REMEMBERED:
                self._lost.clear()
            self._lost[host] = self._clock() + MEMORY

    def is_lost(self, host: Host) -> bool:
        """Whether it was out of reach lately: others go first."""
        until = self._lost.get(host) if self._lost else None
        return until is not None and self._clock() < until
