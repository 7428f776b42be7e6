"""The settings of the ways out: roads and their TLS, when to try again, whom to ask for names."""

from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from mta.model.domain import TlsLevel, Validation
from mta.model.listener import Endpoint

from mta.rules.delivery.families import Ipv6
from mta.rules.delivery.progress import Mode

from mta.config.fallback import Fallback
from mta.config.kinds import (
    DAY,
    HOUR,
    MINUTE,
    Count,
    Duration,
    DurationOrZero,
    Port,
    Section,
)
from mta.config.quantities import read_nameserver
from mta.config.routes import SmarthostOrNames
from mta.config.sources import SourceAddress


def _a_floor(value: object) -> object:
    # A road may do without TLS; to demand that it does helps nobody.
    if value not in (TlsLevel.OPPORTUNISTIC, TlsLevel.REQUIRED, TlsLevel.VERIFY):
        raise ValueError("expected opportunistic, required or verify")
    return value


def _an_answer(value: object) -> object:
    # YAML 1.1 takes yes and no for truth values.
    return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


Nameserver = Annotated[Endpoint, BeforeValidator(read_nameserver), PlainSerializer(str)]


class Timeouts(Section):
    """How long a peer may take, stage by stage (RFC 5321 §4.5.3.2)."""

    connect: Duration = 30.0
    greeting: Duration = 5 * MINUTE
    command: Duration = 5 * MINUTE
    data: Duration = 2 * MINUTE
    transaction: Duration = HOUR
    block: Duration = 3 * MINUTE
    final_dot: Duration = 10 * MINUTE


class Delivery(Section):
    """How mail is carried."""

    mode: Mode = Mode.DIRECT
    smarthost: SmarthostOrNames = None
    fallback: Fallback = Fallback()
    port: Port = 25
    private_addresses: bool = False
    tls: Annotated[TlsLevel, BeforeValidator(_a_floor)] = TlsLevel.OPPORTUNISTIC
    retry: tuple[Duration, ...] = (
        MINUTE,
        5 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        HOUR,
        4 * HOUR,
        8 * HOUR,
    )
    give_up_after: Duration = 5 * DAY
    delay_report_after: DurationOrZero = 4 * HOUR
    hold_for: DurationOrZero = DAY
    concurrency: Count = 100
    per_destination: Count = 10
    messages_per_connection: Count = 100
    linger: DurationOrZero = 1.0
    hosts_per_attempt: Count = 10
    sources: tuple[SourceAddress, ...] = ()
    ipv6: Ipv6 = Ipv6.AUTO
    mta_sts: bool = True
    policy_port: Port = 443
    tls_memory: DurationOrZero = 3 * DAY
    handshake_memory: DurationOrZero = 3 * DAY
    timeouts: Timeouts = Timeouts()


class Dns(Section):
    """Whom to ask for names; no nameservers: the system's."""

    nameservers: tuple[Nameserver, ...] = ()
    timeout: Duration = 10.0
    validates: Annotated[Validation, BeforeValidator(_an_answer)] = Validation.AUTO
    authority_port: Port = 53
