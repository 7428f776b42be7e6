"""The wiring: builds every object of a running server; starts, reloads and stops it."""

import asyncio
import logging
import random
import secrets
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass

from mta.model.domain import TlsDemand, TlsLevel
from mta.model.envelope import Destination, MessageId, Road
from mta.model.trouble import NoNameserver, SigningError, SpoolError

from mta.rules.content import BareNewlines
from mta.rules.progress import Mode
from mta.rules.retry import RetryPlan
from mta.rules.signing import SigningKey
from mta.rules.tls import demand_for

from mta.flow.courier import Courier, Way
from mta.flow.dispatcher import Dispatcher, Room
from mta.flow.intake import House, Intake
from mta.flow.ports import EventLog, Lookup, Signer
from mta.flow.settlement import Settlement, Terms

from mta.edge.certificates import ensure_self_signed
from mta.edge.idn import to_ascii
from mta.edge.lookup import DnsLookup
from mta.edge.rsa import load_key
from mta.edge.signer import DkimSigner
from mta.edge.smtpclient import Login, SmtpConnector, Timeouts
from mta.edge.spool.files import FileSpool
from mta.edge.spool.gauge import Watermarks
from mta.edge.spool.kept import Keep
from mta.edge.submission import (
    Auth,
    Listener,
    ListenError,
    SessionLimits,
    SubmissionServer,
    Tls,
)
from mta.edge.tls import CertificateError, server_context

from mta.config import Settings
from mta.config.settings import Delivery, Limits, Listen, ListenerTls, Smarthost

log = logging.getLogger(__name__)

TROUBLE_INTERVAL = 10.0  # seconds between complaints about the spool
SWEEP_INTERVAL = 3600.0  # seconds between looks for kept copies that are too old
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # no i, l, o, u: an id can be read out aloud


def new_id() -> MessageId:
    """A message's id: 9 characters of time, so that ids sort by age, and 9 of chance."""
    number = (time.time_ns() // 1_000_000) << 45 | secrets.randbits(45)
    return MessageId("".join(_ALPHABET[number >> shift & 31] for shift in range(85, -1, -5)))


# What keeps a server from starting; each says what is wrong and the cure.
STARTUP_ERRORS = (
    SigningError,
    CertificateError,
    NoNameserver,
    SpoolError,
    ListenError,
    OSError,
)


def open_spool(settings: Settings) -> FileSpool:
    """Lock and recover the spool. Raises SpoolError."""
    limits = settings.limits
    return FileSpool.open(
        settings.spool,
        keep=Keep(settings.keep.sent, settings.keep.failed),
        watermarks=Watermarks(
            bytes_low=limits.disk_low,
            bytes_high=limits.disk_high,
            inodes_low=limits.inodes_low,
            inodes_high=limits.inodes_high,
            messages=limits.queue,
        ),
    )


@dataclass(frozen=True, slots=True)
class Fittings:
    """Everything that is made from the settings alone and can be exchanged while we run."""

    house: House
    signer: Signer
    lookup: Lookup
    ways: Mapping[Road, Way]
    terms: Terms
    room: Room
    limits: SessionLimits
    tls: ssl.SSLContext | None


def fittings_for(settings: Settings) -> Fittings:
    """Make them. Raises SigningError for a key, NoNameserver or OSError for what is missing."""
    delivery = settings.delivery
    return Fittings(
        house=House(settings.hostname, frozenset(settings.senders)),
        signer=_signer(settings),
        lookup=_lookup(settings),
        ways=_ways(settings),
        terms=Terms(Mode(delivery.mode), RetryPlan(delivery.retry, delivery.give_up_after)),
        room=Room(delivery.concurrency, delivery.per_destination, delivery.messages_per_connection),
        limits=_limits(settings.limits),
        tls=_tls(settings),
    )


def _lookup(settings: Settings) -> DnsLookup:
    servers = [(server.host, server.port) for server in settings.dns.nameservers]
    return DnsLookup(servers, timeout=settings.dns.timeout, clock=time.time)


def _signer(settings: Settings) -> DkimSigner:
    keys = [SigningKey(key.domain, key.selector, load_key(key.key).sign) for key in settings.dkim]
    return DkimSigner(keys, clock=time.time)


def _ways(settings: Settings) -> dict[Road, Way]:
    delivery = settings.delivery
    timeouts = _timeouts(delivery)
    ways = {
        Road.DIRECT: Way(
            connector=SmtpConnector(hostname=settings.hostname, timeouts=timeouts),
            demand=demand_for(delivery.tls),
            port=delivery.port,
            private_allowed=delivery.private_addresses,
            hosts_per_attempt=delivery.hosts_per_attempt,
        )
    }
    smarthost = delivery.smarthost
    if smarthost is not None:
        ways[Road.SMARTHOST] = Way(
            connector=SmtpConnector(
                hostname=settings.hostname, timeouts=timeouts, login=_login(smarthost)
            ),
            demand=_smarthost_demand(smarthost),
            port=smarthost.port,
            relay=smarthost.host,
            private_allowed=True,  # the operator chose it, wherever it is
            hosts_per_attempt=delivery.hosts_per_attempt,
        )
    return ways


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
    if smarthost.tls is ListenerTls.NONE:
        return demand_for(TlsLevel.NONE)
    level = TlsLevel.VERIFY if smarthost.verify else TlsLevel.REQUIRED
    return demand_for(level, is_implicit=smarthost.tls is ListenerTls.IMPLICIT)


def _listener(listen: Listen) -> Listener:
    where = listen.address
    return Listener(where.host, where.port, Tls(listen.tls), Auth(listen.auth), listen.networks)


def _limits(given: Limits) -> SessionLimits:
    return SessionLimits(
        message_size=given.message_size,
        recipients=given.recipients,
        command_length=given.command_length,
        line_length=given.line_length,
        errors=given.errors,
        fruitless=given.junk_commands,
        connections=given.connections,
        connections_per_client=given.connections_per_client,
        buffer_bytes=given.buffer,
        idle_seconds=given.idle,
    )


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """Our certificate: the configured one, or one that we sign ourselves, once."""
    if all(listen.tls is ListenerTls.NONE for listen in settings.listen):
        return None
    certificate, key = settings.tls.certificate, settings.tls.key
    if certificate is None or key is None:
        certificate, key = ensure_self_signed(
            settings.spool / "tls", settings.hostname, time.time()
        )
        log.warning("no certificate is configured: using a self-signed one, %s", certificate)
    return server_context(certificate, key)


class Server:
    """A running server: one spool, a way in, a way out."""

    def __init__(self, settings: Settings, *, spool: FileSpool, events: EventLog) -> None:
        """Wire everything; nothing runs yet. Raises what `fittings_for` raises."""
        self._settings = settings
        self._fittings = fittings = fittings_for(settings)
        self._spool = spool
        self._intake = Intake(
            house=fittings.house,
            spool=spool,
            signer=fittings.signer,
            events=events,
            clock=time.time,
            new_id=new_id,
            on_stored=lambda envelope: self._dispatcher.enqueue(envelope),
        )
        self._settlement = Settlement(
            terms=fittings.terms,
            spool=spool,
            intake=self._intake,
            events=events,
            clock=time.time,
            chance=random.random,
        )
        self._dispatcher = Dispatcher(
            room=fittings.room,
            spool=spool,
            settlement=self._settlement,
            courier_to=self._courier_to,
            clock=time.time,
        )
        self._door = SubmissionServer(
            listeners=[_listener(listen) for listen in settings.listen],
            door=self._intake,
            hostname=settings.hostname,
            to_ascii=to_ascii,
            limits=fittings.limits,
            bare_newlines=BareNewlines(settings.bare_newlines),
            tls=fittings.tls,
        )

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where it listens."""
        return self._door.addresses

    async def start(self) -> None:
        """Listen, and take up what is queued. Raises ListenError."""
        await self._door.start()
        await self._dispatcher.resume(list(self._spool.envelopes()))

    async def run(self, stop: asyncio.Event) -> None:
        """Carry mail until `stop` is set, then end in good order."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._dispatcher.run(), name="dispatcher")
            upkeep = tasks.create_task(self._keep_up(), name="upkeep")
            await stop.wait()
            await self._stop()
            upkeep.cancel()

    def reload(self, settings: Settings) -> None:
        """Put new settings in force, whole or not at all. Raises what `fittings_for` raises.

        Listeners and the spool stay where they are until a restart.
        """
        self._fittings = fittings = fittings_for(settings)
        self._intake.house, self._intake.signer = fittings.house, fittings.signer
        self._settlement.terms = fittings.terms
        self._dispatcher.room = fittings.room
        self._door.replace_tls(fittings.tls)
        self._door.replace_limits(fittings.limits)
        for name in ("listen", "spool", "hostname", "bare_newlines", "keep"):
            if getattr(settings, name) != getattr(self._settings, name):
                log.warning("%s has changed: that needs a restart", name)

    async def _stop(self) -> None:
        """Let nobody in, and what is under way end within the time that the settings give."""
        limit = self._settings.shutdown
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._door.drain(limit), name="drain")
            tasks.create_task(self._dispatcher.stop(limit), name="stop")

    async def _keep_up(self) -> None:
        """What the spool wants done now and then."""
        swept_at = 0.0
        while True:
            await asyncio.sleep(1)
            try:
                await self._spool.retire_due(time.time())
                if time.time() - swept_at > SWEEP_INTERVAL:
                    swept_at = time.time()
                    await self._spool.sweep(swept_at)
            except SpoolError as error:
                log.error("the spool is in trouble, and is tried again: %s", error)
                await asyncio.sleep(TROUBLE_INTERVAL)

    def _courier_to(self, destination: Destination) -> Courier:
        return Courier(
            destination,
            way=self._fittings.ways[destination.road],
            lookup=self._fittings.lookup,
            own_names={self._fittings.house.hostname},
            chance=random.random,
        )
