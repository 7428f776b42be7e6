"""Settings turned into roads: who connects, over what TLS, as whom."""

import time
from collections.abc import Mapping, Sequence

from mta.model.domain import TlsDemand, TlsLevel
from mta.model.envelope import Road
from mta.model.listener import TlsStart

from mta.rules.tls.demand import demand_for

from mta.flow.courier import Way
from mta.flow.ports import ReverseLookup
from mta.flow.reach import Reach

from mta.edge.ownaddress import own_address
from mta.edge.smtpclient import Login, SmtpConnector, Timeouts

from mta.config import Settings
from mta.config.delivery import Delivery, Smarthost

Ways = Mapping[tuple[str, Road], Sequence[Way]]  # by route ("": the default) and road


def ways_for(settings: Settings, lookup: ReverseLookup) -> Ways:
    """How each road is travelled. Raises OSError where a trust store cannot be read."""
    delivery = settings.delivery
    timeouts = _timeouts(delivery)
    sources = [entry.source() for entry in delivery.sources]
    direct = Way(
        connector=SmtpConnector(hostname=settings.hostname, timeouts=timeouts, sources=sources),
        demand=demand_for(delivery.tls),
        port=delivery.port,
        private_allowed=delivery.private_addresses,
        hosts_per_attempt=delivery.hosts_per_attempt,
        reach=reach_for(delivery, lookup),
    )
    ways = {("", Road.DIRECT): [direct]}
    smarthost = delivery.smarthost
    if smarthost is not None:
        relay = Way(
            connector=SmtpConnector(
                hostname=settings.hostname, timeouts=timeouts, login=_login(smarthost)
            ),
            demand=_smarthost_demand(smarthost),
            port=smarthost.port,
            relay=smarthost.host,
            private_allowed=True,  # the operator chose it, wherever it is
            hosts_per_attempt=delivery.hosts_per_attempt,
        )
        ways["", Road.SMARTHOST] = [relay]
    return ways


def reach_for(delivery: Delivery, lookup: ReverseLookup) -> Reach:
    """What the road to mail exchangers may use."""
    return Reach(
        ipv6=delivery.ipv6,
        sources=[entry.source() for entry in delivery.sources],
        lookup=lookup,
        own_address=own_address,
        clock=time.time,
    )


def _timeouts(delivery: Delivery) -> Timeouts:
    given = delivery.timeouts
    return Timeouts(
        connect=given.connect,
        greeting=given.greeting,
        hello=given.command,
        mail=given.command,
        rcpt=given.command,
        data=given.data,
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
    return demand_for(level, is_implicit=smarthost.tls is TlsStart.IMPLICIT)
