"""One destination's mail, carried letter after letter, over one connection while it lasts."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import cast

from mta.model.domain import Host, TlsDemand
from mta.model.envelope import Destination, Letter
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict
from mta.model.request import NOTHING, MessageRequest

from mta.rules.delivery.deadline import out_of_time
from mta.rules.delivery.families import BOTH
from mta.rules.delivery.routing import (
    Route,
    conclusion,
    literal_addresses,
    literal_route,
    route_for,
    usable_addresses,
)
from mta.rules.refusals.classify import SHIPPED, Table, ruled
from mta.rules.tls.demand import (
    after_failed_handshake,
    demand_of,
    may_share,
    unprotected,
)

from mta.flow.delivery.reach import Reach
from mta.flow.ports import Chance, Connector, Lookup, Session
from mta.flow.tls.assurance import Assurance

RECIPIENTS_AT_ONCE = 100  # what every server must take in one transaction, RFC 5321 §4.5.3.1.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a stretch of a road is travelled: to `relay`, or to the domain's exchangers if None.

    Where `port` is 0, `relay` is a place on this machine, and nothing is looked up. `reach` is
    what can be reached from here, as far as is known; without it all is tried.
    """

    connector: Connector
    demand: TlsDemand
    port: int
    relay: str | None = None
    private_allowed: bool = False
    hosts_per_attempt: int = 10
    reach: Reach | None = None

    @property
    def label(self) -> str | None:
        """By what a relay is known again: as `Host.label`; None for exchangers."""
        return self.relay and Host(self.relay, "", self.port).label


class Courier:
    """Delivers to one destination; holds the connection between one letter and the next."""

    def __init__(
        self,
        destination: Destination,
        *,
        ways: Sequence[Way],
        lookup: Lookup,
        own_names: Collection[str],
        chance: Chance,
        assurance: Assurance,
        refusals: Table = SHIPPED,
    ) -> None:
        """`ways` are tried in their order: the next one where all hosts of one are in trouble."""
        self._destination = destination
        self._ways = ways
        self._lookup = lookup
        self._own_names = own_names
        self._chance = chance
        self._assurance = assurance
        self._refusals = refusals
        self._session: Session | None = None
        self._opened_for: MessageRequest = NOTHING

    async def deliver(self, letter: Letter, limit: float | None = None) -> tuple[Outcome, ...]:
        """Try once to bring a letter to its recipients; an outcome for each, in their order.

        It is broken off after `limit` seconds, but not between a final dot and its reply.
        """
        outcomes: list[Outcome | None] = [None] * len(letter.recipients)
        troubles: list[Outcome] = []
        if limit is None:
            await self._try(letter, outcomes, troubles)
            return self._concluded(outcomes, troubles)
        try:
            async with asyncio.timeout(limit):
                await self._try(letter, outcomes, troubles)
        except TimeoutError:
            await self.close()
            troubles[:] = [out_of_time(_broken_off(limit, troubles))]
        return self._concluded(outcomes, troubles)

    def _concluded(
        self, outcomes: list[Outcome | None], troubles: list[Outcome]
    ) -> tuple[Outcome, ...]:
        return tuple(
            [
                outcome if outcome.verdict is Verdict.DELIVERED else ruled(outcome, self._refusals)
                for outcome in _complete(outcomes, troubles)
            ]
        )

    async def _try(
        self, letter: Letter, outcomes: list[Outcome | None], troubles: list[Outcome]
    ) -> None:
        if self._session is not None and self._may_carry(self._session, letter):
            # A kept connection that broke says little about the host: go there afresh.
            await self._carry(letter, self._session, outcomes)
        while not all(outcomes) and await self._go(letter, outcomes, troubles):
            pass  # as often as a peer wants another connection for the rest

    async def _go(
        self, letter: Letter, outcomes: list[Outcome | None], troubles: list[Outcome]
    ) -> bool:
        """Go to one host after the other; whether one took as much as it takes in a session."""
        async for reached in self._sessions(letter):
            if isinstance(reached, Outcome):
                troubles.append(reached)
                continue
            met = await self._carry(letter, reached, outcomes)
            troubles += met
            if not met:
                return True
        return False

    @property
    def is_connected(self) -> bool:
        """Whether the next letter may find a connection."""
        return self._session is not None

    async def close(self) -> None:
        """Let go of the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _may_carry(self, session: Session, letter: Letter) -> bool:
        """Whether a letter may go over a connection that was opened for another."""
        is_bound_elsewhere = letter.bound_to not in ("", session.host.label)
        return not is_bound_elsewhere and may_share(self._opened_for, letter.request)

    async def _carry(
        self, letter: Letter, session: Session, outcomes: list[Outcome | None]
    ) -> list[Outcome]:
        """Send to all that have no outcome yet; gives the troubles to take to another host."""
        troubles: list[Outcome] = []
        self._session = session  # so that it is closed, whatever happens
        while not troubles and (places := _without_outcome(outcomes)):
            if session.has_limits:
                places = session.within_limits(places, letter.recipients)
                if not places:
                    break
            got = await session.send(letter.part(places))
            troubles = _enter(outcomes, places, got)
        if not session.is_usable:
            await self.close()
        return troubles

    async def _sessions(self, letter: Letter) -> AsyncIterator[Session | Outcome]:
        """Connections to the destination's hosts in order, or what kept us from each."""
        for way in self._ways_for(letter):
            tried = 0
            async for found in self.stops(way, letter.request):
                if isinstance(found, Outcome):
                    yield found
                    continue
                if tried == way.hosts_per_attempt:
                    break
                tried += 1
                yield await self.open(way, *found, letter.request)

    def _ways_for(self, letter: Letter) -> Sequence[Way]:
        """All, but for a letter that one of them may have delivered: that one, if it is there."""
        if not letter.bound_to:
            return self._ways
        return [way for way in self._ways if way.label == letter.bound_to] or self._ways

    async def open(
        self, way: Way, host: Host, demand: TlsDemand, request: MessageRequest
    ) -> Session | Outcome:
        """A connection to one of the stops of a way; in clear where that does and TLS fails."""
        await self.close()  # one that was kept and did not do
        self._opened_for = request
        reached = await self._reach(way, host, demand, request)
        weaker = after_failed_handshake(demand)
        while weaker is not None and isinstance(reached, Outcome) and reached.stage is Stage.TLS:
            reached = await self._reach(way, host, weaker, request)
            weaker = after_failed_handshake(weaker)
        if request.needs_tls and isinstance(reached, Outcome) and reached.stage is Stage.TLS:
            return unprotected(reached)
        return reached

    async def _reach(
        self, way: Way, host: Host, demand: TlsDemand, request: MessageRequest
    ) -> Session | Outcome:
        """One connection, and what it means for the next ones."""
        reached = await way.connector.open(host, demand)
        if way.reach is not None:
            way.reach.note(host, reached)
        if way.relay is not None:
            return reached
        return self._assurance.noted(host, self._destination.domain, request, demand, reached)

    async def stops(
        self, way: Way, request: MessageRequest
    ) -> AsyncIterator[tuple[Host, TlsDemand] | Outcome]:
        """Where to connect, and what it must prove; or what keeps us from a host, or from all."""
        if way.relay is not None and not way.port:
            yield Host(way.relay, "", 0), way.demand  # what stays here, nobody on the way reads
            return
        route = await self._route(way)
        if isinstance(route, Outcome):
            yield route
            return
        lost: list[tuple[Host, TlsDemand]] = []
        for name in route.hosts:
            demand = await self._demand(way, name, request, is_secure=route.is_secure)
            if isinstance(demand, Outcome):
                yield demand
                continue
            addresses = await self._addresses(way, name, is_implicit=route.is_implicit)
            if isinstance(addresses, Outcome):
                yield addresses
                continue
            for more, address in zip(range(len(addresses) - 1, -1, -1), addresses, strict=True):
                host = Host(name, address, way.port, has_more=more > 0)
                if way.reach is not None and way.reach.is_lost(host):
                    lost.append((host, demand))
                else:
                    yield host, demand
        for host, demand in lost:
            yield replace(host, has_more=False), demand

    async def _route(self, way: Way) -> Route | Outcome:
        if way.relay is not None:
            return Route((way.relay,))
        domain = self._destination.domain
        literal = literal_route(domain)
        if literal is not None:
            return literal
        answer = await self._lookup.mx(domain)
        return route_for(domain, answer, own_names=self._own_names, chance=self._chance)

    async def _demand(
        self, way: Way, host: str, request: MessageRequest, *, is_secure: bool
    ) -> TlsDemand | Outcome:
        if way.relay is not None:  # its name is the operator's word
            return demand_of(request, way.demand)
        return await self._assurance.demand(
            host, self._destination.domain, request, way.demand, is_secure=is_secure
        )

    async def _addresses(
        self, way: Way, name: str, *, is_implicit: bool
    ) -> tuple[str, ...] | Outcome:
        answer = literal_addresses(name) or await self._lookup.addresses(name)
        usable = usable_addresses(
            name,
            answer,
            private_allowed=way.private_allowed,
            is_implicit=is_implicit,
            families=way.reach.families if way.reach is not None else BOTH,
        )
        if way.relay is not None and isinstance(usable, Outcome):
            # Its name is an operator's word, and may be mended: no sender's mail fails by it.
            reply = Reply(451, f"the smarthost cannot be found: {usable.reply.text}", 4, 3)
            return Outcome(Verdict.DEFERRED, reply, Stage.LOOKUP, Scope.HOST)  # the next one may be
        return usable


def _complete(outcomes: list[Outcome | None], troubles: list[Outcome]) -> tuple[Outcome, ...]:
    """The same; what came of all the troubles where there is no outcome."""
    if all(outcomes):
        return tuple(cast(list[Outcome], outcomes))
    last = conclusion(troubles)
    return tuple([last if outcome is None else outcome for outcome in outcomes])


def _broken_off(limit: float, troubles: Sequence[Outcome]) -> str:
    at_last = f"; before: {troubles[-1].reply}" if troubles else ""
    return f"broken off after {limit:.3g} seconds, for the message is to be there soon{at_last}"


def _without_outcome(outcomes: Sequence[Outcome | None]) -> list[int]:
    """The next recipients to send to, as many as one transaction may hold."""
    left = (place for place, outcome in enumerate(outcomes) if outcome is None)
    return list(islice(left, RECIPIENTS_AT_ONCE))


def _enter(
    outcomes: list[Outcome | None], places: Sequence[int], got: Sequence[Outcome]
) -> list[Outcome]:
    """Enter the outcomes that stand for this attempt at their places; gives the troubles.

    Not entered are those that another host may better; nor "too many recipients" while others
    of the same transaction were taken: those go in the next one (RFC 5321 §4.5.3.1.10).
    """
    troubles: list[Outcome] = []
    delivered = Verdict.DELIVERED
    some_went = any(outcome.verdict is delivered for outcome in got)
    for place, outcome in zip(places, got, strict=True):
        if outcome.verdict is delivered:
            outcomes[place] = outcome
        elif _is_worth_another_host(outcome):
            troubles.append(outcome)
        elif not (some_went and _is_too_many(outcome)):
            outcomes[place] = outcome
    return troubles


def _is_worth_another_host(outcome: Outcome) -> bool:
    """Of one that is not DELIVERED."""
    return outcome.scope is Scope.HOST and not outcome.may_have_arrived


def _is_too_many(outcome: Outcome) -> bool:
    return (
        outcome.stage is Stage.RECIPIENT
        and outcome.verdict is Verdict.DEFERRED
        and outcome.reply.code in (452, 552)
    )
