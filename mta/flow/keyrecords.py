"""Is a key's record in the DNS: at every server of its zone, and as receivers see it?"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from mta.model.domain import Answer, Finding
from mta.model.zone import Alias, Delegation, Sighting, ZoneAnswer

from mta.rules.message.dkimrecord import DkimRecord
from mta.rules.message.published import objection_to_published

MAX_SERVERS = 16  # of one zone that are asked
MAX_ADDRESSES = 8  # of one server
_MAX_DELEGATIONS = 3


class Names(Protocol):
    """Asks the DNS as everybody does, by a resolver. Every answer comes in bounded time."""

    async def txt(self, name: str) -> Answer[str]:
        """The TXT records of a name, the strings of each joined."""

    async def ns(self, zone: str) -> Answer[str]:
        """The names of the hosts that serve a zone; none for a name that is no zone's top."""

    async def addresses(self, name: str) -> Answer[str]:
        """The IP addresses of a host."""


class Authority(Protocol):
    """Asks the servers of a zone themselves."""

    async def texts(self, address: str, name: str) -> ZoneAnswer:
        """What the server at this IP address has of a name's TXT records. Never raises."""


class KeyRecords:
    """Looks for records."""

    def __init__(self, *, names: Names, authority: Authority) -> None:
        self._names = names
        self._authority = authority

    async def objection(self, record: DkimRecord) -> str | None:
        """What is wrong with the record as receivers see it; None if all is well."""
        return objection_to_published(record, await self._names.txt(record.name))

    async def sightings(self, record: DkimRecord) -> tuple[Sighting, ...]:
        """What each server of the record's zone shows of it; never empty.

        The record's own name is never asked for by a resolver, which would remember that there is
        none (RFC 2308 §5), and its servers are found from the domain down.
        """
        found = await self._servers_of(record.domain)
        for _ in range(_MAX_DELEGATIONS):
            if isinstance(found, Sighting):
                return (found,)
            servers = sorted(set(found))[:MAX_SERVERS]
            answers = await asyncio.gather(*[self._ask(server, record) for server in servers])
            below = [answer for answer in answers if isinstance(answer, Delegation)]
            if not below:
                return tuple(answer for answer in answers if isinstance(answer, Sighting))
            found = [server for delegation in below for server in delegation.servers]
        return (Sighting(record.domain, "its servers send us from one to another"),)

    async def _servers_of(self, domain: str) -> "Sequence[str] | Sighting":
        """The servers of the zone that the domain is in, or why they are not known."""
        zone = domain
        while zone:
            answer = await self._names.ns(zone)
            if answer.finding is Finding.UNKNOWN:
                return Sighting(zone, f"its name servers are not known: {answer.text}")
            if answer.records:
                return answer.records
            zone = zone.partition(".")[2]
        return Sighting(domain, "expected name servers, found none")

    async def _ask(self, server: str, record: DkimRecord) -> "Sighting | Delegation":
        """What a server says by all of its addresses together.

        One that cannot be reached (we may have no IPv6) does not count where another one can be.
        """
        host = await self._names.addresses(server)
        if not host.records:
            return Sighting(server, f"its address is not known: {host.text}")
        answers = await asyncio.gather(
            *[self._look(address, record.name) for address in host.records[:MAX_ADDRESSES]]
        )
        sure = [answer for answer in answers if not _is_unknown(answer)] or answers
        for answer in sure:
            if isinstance(answer, Delegation):
                return answer
        objections = [
            objection_to_published(record, answer) for answer in sure if isinstance(answer, Answer)
        ]
        return Sighting(server, next(filter(None, objections), None))

    async def _look(self, address: str, name: str) -> "Answer[str] | Delegation":
        found = await self._authority.texts(address, name)
        if isinstance(found, Alias):
            return await self._names.txt(found.name)
        return found


def _is_unknown(answer: "Answer[str] | Delegation") -> bool:
    return isinstance(answer, Answer) and answer.finding is Finding.UNKNOWN


def is_everywhere(sightings: Sequence[Sighting]) -> bool:
    """Whether all servers show the record."""
    return all(sighting.objection is None for sighting in sightings)
