"""Settings turned into roads: who connects, over what TLS, as whom, and for which mail."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mta.model.domain import Anchors, Distrust, TlsDemand, TlsLevel
from mta.model.envelope import Road
from mta.model.listener import TlsStart
from mta.model.source import Source

from mta.rules.delivery.progress import Mode
from mta.rules.pacing.limits import LOCAL, SMARTHOST
from mta.rules.routes.choose import Rule
from mta.rules.tls.demand import demand_for

from mta.flow.delivery.courier import Way
from mta.flow.delivery.discard import Discard
from mta.flow.delivery.reach import Reach
from mta.flow.delivery.settlement import Terms
from mta.flow.ports import Connector, ReverseLookup

from mta.edge.maildir import MaildirConnector
from mta.edge.ownaddress import own_address
from mta.edge.smtpclient import Login, SmtpConnector, Timeouts

from mta.config import Settings
from mta.config.delivery import Delivery
from mta.config.routes import Route, Smarthost
from mta.config.sources import SourceAddress
from mta.config.targets import Kind, Target

Ways = Mapping[tuple[str, Road], Sequence[Way]]  # by route ("": the default) and road


def ways_for(settings: Settings, lookup: ReverseLookup) -> Ways:
    """How each road is travelled. Raises OSError where a trust store cannot be read."""
    survey = _Survey(settings, lookup)
    second = survey.smarthosts("")
    default = survey.to_exchangers(demand_for(settings.delivery.tls), settings.delivery.sources)
    ways = {("", Road.DIRECT): [default]}
    if second:
        ways["", Road.SMARTHOST] = second
    for route in settings.routes:
        for road in Road:
            targets = [one for one in route.via if (one.kind is Kind.MX) is (road is Road.DIRECT)]
            if targets:
                ways[route.name, road] = [
                    way for target in targets for way in survey.to(target, route)
                ]
    return ways


def reach_for(
    delivery: Delivery, lookup: ReverseLookup, sources: Sequence[Source] | None = None
) -> Reach:
    """What the road to mail exchangers may use, from our addresses in `delivery` or from these."""
    return Reach(
        ipv6=delivery.ipv6,
        sources=_sources(delivery.sources) if sources is None else sources,
        lookup=lookup,
        own_address=own_address,
        clock=time.time,
    )


def rules_for(routes: Iterable[Route]) -> tuple[Rule, ...]:
    """When mail takes each of the routes, in their order."""
    return tuple([rule_for(route) for route in routes])


def rule_for(route: Route) -> Rule:
    """When mail takes this route."""
    return Rule(
        route.name,
        route.recipient,
        route.sender,
        frozenset(route.user),
        frozenset(route.tag),
        tuple([(name.lower().encode(), pattern) for name, pattern in route.header.items()]),
    )


def with_routes(terms: Terms, routes: Iterable[Route]) -> Terms:
    """The terms, with those of each route: what it does not say is as it is for all mail."""
    return replace(terms, routes={route.name: terms_of(route, terms) for route in routes})


def terms_of(route: Route, default: Terms) -> Terms:
    """The terms of mail that takes a route."""
    plan = default.plan
    if route.retry is not None:
        plan = replace(plan, delays=route.retry)
    if route.give_up_after is not None:
        plan = replace(plan, give_up_after=route.give_up_after)
    return replace(default, mode=mode_of(route), plan=plan)


def mode_of(route: Route) -> Mode:
    """Which roads a route has: the second one is whatever stands behind mx."""
    if route.via[0].kind is not Kind.MX:
        return Mode.SMARTHOST
    return Mode.DIRECT if len(route.via) == 1 else Mode.FALLBACK


class _Survey:
    """Lays ways. Connectors are shared where they are the same: each loads a trust store."""

    def __init__(self, settings: Settings, lookup: ReverseLookup) -> None:
        self._settings = settings
        self._lookup = lookup
        self._delivery = settings.delivery
        self._timeouts = _timeouts(settings.delivery)
        self._connectors: dict[tuple[object, ...], SmtpConnector] = {}
        self._reaches: dict[tuple[Source, ...], Reach] = {}

    def to(self, target: Target, route: Route) -> list[Way]:
        """The ways to one end of a route."""
        named = route.fingerprints
        demand = demand_for(route.tls or self._delivery.tls, fingerprints=named)
        match target.kind:
            case Kind.MX:
                return [self.to_exchangers(demand, route.sources or self._delivery.sources)]
            case Kind.SMARTHOST:
                return self.smarthosts(target.place)
            case Kind.MAILDIR:
                return [self._to_place(MaildirConnector(target.place), target.place)]
            case Kind.DISCARD:
                return [self._to_place(Discard(), Kind.DISCARD)]
        is_lmtp = target.kind is Kind.LMTP
        connector = self._connector(is_lmtp=is_lmtp, sources=_sources(route.sources))
        if not target.is_tcp:
            return [self._to_place(connector, target.place)]
        if target.kind is Kind.SMTPS:
            level = route.tls or TlsLevel.VERIFY
            demand = demand_for(level, is_implicit=True, fingerprints=named)
        return [self._to_relay(connector, demand, target.place, target.port)]

    def to_exchangers(self, demand: TlsDemand, entries: Sequence[SourceAddress]) -> Way:
        """The way to each domain's own exchangers."""
        sources = _sources(entries)
        return Way(
            connector=self._connector(sources=sources),
            demand=demand,
            port=self._delivery.port,
            private_allowed=self._delivery.private_addresses,
            hosts_per_attempt=self._delivery.hosts_per_attempt,
            reach=self._reach(sources),
        )

    def smarthosts(self, name: str) -> list[Way]:
        """The ways to those of this name, in their order; "" is for delivery.smarthost."""
        return [
            self._to_relay(
                self._connector(login=_login(smarthost)),
                _smarthost_demand(smarthost),
                smarthost.host,
                smarthost.port,
            )
            for smarthost in self._settings.smarthosts_named(name)
        ]

    def _to_relay(self, connector: Connector, demand: TlsDemand, host: str, port: int) -> Way:
        return Way(
            connector=connector,
            demand=demand,
            port=port,
            relay=host,
            private_allowed=True,  # the operator chose it, wherever it is
            hosts_per_attempt=self._delivery.hosts_per_attempt,
        )

    def _to_place(self, connector: Connector, place: str) -> Way:
        """The way to somewhere on this machine: nobody on the way reads what goes there."""
        return self._to_relay(connector, demand_for(TlsLevel.NONE), place, 0)

    def _connector(
        self, *, login: Login | None = None, is_lmtp: bool = False, sources: Sequence[Source] = ()
    ) -> SmtpConnector:
        key = (login, is_lmtp, *sources)
        if key not in self._connectors:
            self._connectors[key] = SmtpConnector(
                hostname=self._settings.hostname,
                timeouts=self._timeouts,
                login=login,
                is_lmtp=is_lmtp,
                sources=sources,
                chain_check=_objection_to_chain,
            )
        return self._connectors[key]

    def _reach(self, sources: tuple[Source, ...]) -> Reach:
        if sources not in self._reaches:
            self._reaches[sources] = reach_for(self._delivery, self._lookup, sources)
        return self._reaches[sources]


def _sources(entries: Iterable[SourceAddress]) -> tuple[Source, ...]:
    return tuple([entry.source() for entry in entries])


def fixed_site(ways: Sequence[Way]) -> str | None:
    """The site of mail that goes these ways; None where each domain has its own."""
    relay = ways[0].relay
    if relay is None:
        return None
    return f"{SMARTHOST if ways[0].port else LOCAL}{relay}"


def _objection_to_chain(
    chain: Sequence[bytes], anchors: Anchors, names: Sequence[str], now: float
) -> Distrust | None:
    from mta.edge.chain import objection_to_chain  # with a library of 8 MB, which not all need

    return objection_to_chain(chain, anchors, names, now)


def _timeouts(delivery: Delivery) -> Timeouts:
    given = delivery.timeouts
    return Timeouts(
        connect=given.connect,
        greeting=given.greeting,
        hello=given.command,
        mail=given.command,
        rcpt=given.command,
        data=given.data,
        transaction=given.transaction,
        block=given.block,
        final_dot=given.final_dot,
    )


def _login(smarthost: Smarthost) -> Login | None:
    if smarthost.username is None or smarthost.password is None:
        return None
    return Login(
        smarthost.username,
        smarthost.password.get_secret_value(),
        allow_plaintext=smarthost.plaintext_login,
    )


def _smarthost_demand(smarthost: Smarthost) -> TlsDemand:
    if smarthost.tls is TlsStart.NONE:
        return demand_for(TlsLevel.NONE)
    level = TlsLevel.VERIFY if smarthost.verify else TlsLevel.REQUIRED
    return demand_for(
        level,
        is_implicit=smarthost.tls is TlsStart.IMPLICIT,
        fingerprints=smarthost.fingerprints,
    )
