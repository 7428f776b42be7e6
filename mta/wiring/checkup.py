"""Examines whether mail will arrive: the DNS, our names, the way out, our domains, the machine."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from ipaddress import ip_address
from itertools import chain
from pathlib import Path

from mta.model.diagnosis import Diagnosis
from mta.model.domain import Answer, Finding, Host, Tlsa, TlsFacts
from mta.model.envelope import Road
from mta.model.outcome import Outcome, Stage, broken

from mta.rules.delivery import checkup as judging
from mta.rules.delivery.families import Papers
from mta.rules.delivery.progress import Mode
from mta.rules.delivery.routing import Route, literal_addresses, route_for, usable_addresses
from mta.rules.message.dmarc import policy_among, record_names
from mta.rules.tls.dane import name_of_records
from mta.rules.tls.mtasts import policy_id, record_name

from mta.flow.delivery.courier import Way
from mta.flow.spf import spf_result

from mta.edge.clock import is_synchronised
from mta.edge.lookup import DnsLookup
from mta.edge.ownaddress import is_ours
from mta.edge.spool.disk import Disk

from mta.config import Settings
from mta.wiring.keyring import HeldKey, Keyring
from mta.wiring.names import key_records_for, lookup_for
from mta.wiring.roads import ways_for

KNOWN_NAME = "a.root-servers.net"  # which every resolver can find
HOSTS_TRIED = 3  # of a domain
PATIENCE = 10.0  # seconds for a host to greet us and to shake hands
_NEVER = 0.5  # in place of chance: hosts of one preference in any order


class Checkup:
    """One examination. Every question to the world has a limit."""

    def __init__(self, settings: Settings, domain: str) -> None:
        """`domain` is whose hosts are tried. Raises as `fittings_for` does."""
        self._settings = settings
        self._domain = domain
        self._lookup: DnsLookup = lookup_for(settings)
        self._ways = ways_for(settings, self._lookup)
        self._keys: Sequence[HeldKey] = Keyring(settings).keys

    async def findings(self) -> list[Diagnosis]:
        """All that was found, in an order to read it in."""
        parts: list[Awaitable[Sequence[Diagnosis]]] = [self._resolver(), self._hostname()]
        if self._settings.delivery.mode is not Mode.SMARTHOST:
            parts += [self._addresses(), self._direct_road(), self._policies()]
        parts += [self._smarthosts(), self._domains()]
        gathered = await asyncio.gather(*parts)
        return [*chain.from_iterable(gathered), *self._machine()]

    # The DNS and our names

    async def _resolver(self) -> Sequence[Diagnosis]:
        answer = await self._lookup.addresses(KNOWN_NAME)
        is_validating = await self._lookup.is_validating()
        return [judging.of_resolver(answer, is_validating=is_validating)]

    async def _hostname(self) -> Sequence[Diagnosis]:
        hostname = self._settings.hostname
        return [judging.of_hostname(hostname, await self._lookup.addresses(hostname))]

    async def _addresses(self) -> Sequence[Diagnosis]:
        delivery = self._settings.delivery
        names = {entry.address: entry.hostname for entry in delivery.sources}
        missing = [address for address in names if not is_ours(address)]
        return [
            *map(judging.of_absence, missing),
            *[
                judging.of_papers(
                    one, names.get(one.address) or self._settings.hostname, delivery.ipv6
                )
                for one in await self._papers()
            ],
        ]

    async def _papers(self) -> Sequence[Papers]:
        reach = self._direct.reach
        return await reach.papers() if reach is not None else ()

    # The ways out

    @property
    def _direct(self) -> Way:
        return self._ways["", Road.DIRECT][0]

    async def _direct_road(self) -> Sequence[Diagnosis]:
        way = self._direct
        return [judging.of_road(self._domain, way.port, await self._reached(way, self._domain))]

    async def _smarthosts(self) -> Sequence[Diagnosis]:
        if self._settings.delivery.mode is Mode.DIRECT:
            return []
        ways = self._ways.get(("", Road.SMARTHOST), ())
        names = [way.relay or "" for way in ways]
        reached = [await self._reached(way, "") for way in ways]
        pairs = zip(ways, names, reached, strict=True)
        return [judging.of_road(name, way.port, one) for way, name, one in pairs]

    async def _reached(self, way: Way, domain: str) -> Sequence[TlsFacts | Outcome | None]:
        """What came of going to the first hosts of a way."""
        hosts = await self._hosts(way, domain)
        if isinstance(hosts, Outcome):
            return [hosts]
        return await asyncio.gather(*[self._try(way, host) for host in hosts])

    async def _hosts(self, way: Way, domain: str) -> list[Host] | Outcome:
        route = await self._route(way, domain)
        if isinstance(route, Outcome):
            return route
        each = [await self._host(way, name) for name in route.hosts[:HOSTS_TRIED]]
        hosts = [one for one in each if isinstance(one, Host)]
        return hosts or next(one for one in each if isinstance(one, Outcome))

    async def _host(self, way: Way, name: str) -> Host | Outcome:
        answer = literal_addresses(name) or await self._lookup.addresses(name)
        usable = usable_addresses(name, answer, private_allowed=way.private_allowed)
        return usable if isinstance(usable, Outcome) else Host(name, usable[0], way.port)

    async def _route(self, way: Way, domain: str) -> Route | Outcome:
        if way.relay is not None:
            return Route((way.relay,))
        answer = await self._lookup.mx(domain)
        return route_for(domain, answer, own_names=(), chance=lambda: _NEVER)

    async def _try(self, way: Way, host: Host) -> TlsFacts | Outcome | None:
        """The TLS that is had with a host; no mail is sent."""
        try:
            async with asyncio.timeout(PATIENCE):
                session = await way.connector.open(host, way.demand)
        except TimeoutError:
            return broken(Stage.CONNECT, host, f"no answer within {PATIENCE:g} seconds")
        if isinstance(session, Outcome):
            return session
        await session.close()
        return session.tls

    async def _policies(self) -> Sequence[Diagnosis]:
        texts = await self._lookup.txt(record_name(self._domain))
        tlsa = await self._tlsa()
        return [judging.of_policies(self._domain, policy_id(texts.records), tlsa)]

    async def _tlsa(self) -> Answer[Tlsa] | None:
        """The records of the domain's first host."""
        route = await self._route(self._direct, self._domain)
        if isinstance(route, Outcome):
            return None
        return await self._lookup.tlsa(name_of_records(route.hosts[0], self._direct.port))

    # Our domains

    async def _domains(self) -> Sequence[Diagnosis]:
        keys = [held.record.domain for held in self._keys]
        domains = dict.fromkeys([*self._settings.senders, *keys])
        gathered = await asyncio.gather(*map(self._domain_of_ours, domains))
        return [*chain.from_iterable(gathered)]

    async def _domain_of_ours(self, domain: str) -> Sequence[Diagnosis]:
        return [*await self._spf(domain), *await self._dkim(domain), await self._dmarc(domain)]

    async def _spf(self, domain: str) -> Sequence[Diagnosis]:
        if self._settings.delivery.mode is Mode.SMARTHOST:
            return []  # the address that counts is the smarthost's
        addresses = [one.address for one in await self._papers() if one.address]
        return [
            judging.of_spf(domain, address, *await spf_result(self._lookup, domain, address))
            for address in addresses
            if ip_address(address).is_global
        ]

    async def _dkim(self, domain: str) -> Sequence[Diagnosis]:
        records, now = key_records_for(self._settings, self._lookup), time.time()
        keys = [held for held in self._keys if held.record.domain == domain]
        shown = [held.record for held in keys if held.key and held.term.is_needed_at(now)]
        if not any(held.signing for held in keys):
            return [judging.of_unsigned(domain)]
        return [judging.of_dkim(one.name, await records.objection(one)) for one in shown]

    async def _dmarc(self, domain: str) -> Diagnosis:
        answer: Answer[str] = Answer(Finding.NO_DATA)
        for name in record_names(domain):
            answer = await self._lookup.txt(name)
            policy = policy_among(answer.records)
            if policy is not None:
                return judging.of_dmarc(domain, policy)
        unknown = answer.text if answer.finding is Finding.UNKNOWN else ""
        return judging.of_dmarc(domain, None, unknown)

    # The machine

    def _machine(self) -> Sequence[Diagnosis]:
        limits = self._settings.limits
        room = Disk().room(_existing(self._settings.spool))
        return [
            judging.of_clock(is_synchronised()),
            judging.of_disk(
                room.bytes, room.inodes, least=limits.disk_low, least_inodes=limits.inodes_low
            ),
        ]


def _existing(folder: Path) -> Path:
    """The folder, or where it would be made."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
