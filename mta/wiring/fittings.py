"""Settings turned into what the server is made of: keys loaded, contexts built, roads laid.

All of it can be exchanged while the server runs, but for the spool and the listeners.
"""

import logging
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from mta.model.envelope import Road
from mta.model.listener import Listener, Place, TlsStart, UnixSocket
from mta.model.trouble import NoNameserver, SigningError, SpoolError
from mta.model.user import Allowance

from mta.rules.delivery.progress import Mode
from mta.rules.delivery.retry import RetryPlan
from mta.rules.refusals.classify import Table

from mta.flow.delivery.reach import Reach
from mta.flow.delivery.settlement import Terms
from mta.flow.delivery.slots import Room
from mta.flow.keyrecords import KeyRecords
from mta.flow.ports import Signer
from mta.flow.submission.forwarding import Forwarding
from mta.flow.submission.intake import House
from mta.flow.submission.quotas import QuotaTerms
from mta.flow.tls.assurance import TlsPolicies
from mta.flow.tls.dane import Dane

from mta.edge.api import ApiLimits
from mta.edge.history import History
from mta.edge.history import Terms as HistoryTerms
from mta.edge.lookup import DnsLookup
from mta.edge.maildrop.folder import DropLimits
from mta.edge.spool.files import FileSpool
from mta.edge.spool.gauge import Watermarks
from mta.edge.spool.kept import Keep
from mta.edge.submission import ListenError, SessionLimits
from mta.edge.tls import CertificateError, ServerCertificate

from mta.config import ConfigError, Settings
from mta.config.doors import Limits, Listen, Quota, Quotas
from mta.config.pacing import pacing_of
from mta.config.refusals import table_of
from mta.wiring.forwards import forwarding_for
from mta.wiring.keyring import Keyring
from mta.wiring.names import key_records_for, lookup_for
from mta.wiring.roads import Ways, rules_for, ways_for, with_routes

log = logging.getLogger(__name__)

# What keeps a server from starting; each says what is wrong and the cure.
STARTUP_ERRORS = (
    SigningError,
    CertificateError,
    NoNameserver,
    SpoolError,
    ListenError,
    ConfigError,
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


def history_for(settings: Settings, process: int = 0, count: int = 1) -> History | None:
    """The history, which is opened when it is needed; None where none is kept."""
    given = settings.history
    if not given.keep:
        return None
    return History(
        given.folder or settings.spool / "history",
        terms=HistoryTerms(given.keep, given.keys),
        clock=time.time,
        process=process,
        count=count,
    )


async def trouble_at_close(spool: FileSpool) -> SpoolError | None:
    """Close a spool; gives why its last results are not on disk, None if they are."""
    try:
        await spool.close()
    except SpoolError as error:
        return error
    return None


@dataclass(frozen=True, slots=True)
class Fittings:
    """Everything that is made from the settings alone and can be exchanged while we run."""

    house: House
    keyring: Keyring
    key_records: KeyRecords
    forwarding: Forwarding | None
    lookup: DnsLookup
    tls_policies: Sequence[TlsPolicies]
    ways: Ways
    route_sites: Mapping[str, str]  # of routes whose mail counts for a site of its own
    terms: Terms
    refusals: Table
    room: Room
    limits: SessionLimits
    quotas: QuotaTerms
    api_limits: ApiLimits
    history: HistoryTerms
    drop_limits: DropLimits
    certificate: ServerCertificate | None

    @property
    def signer(self) -> Signer:
        """Signs with the keys as they are now."""
        return self.keyring.signer

    @property
    def reaches(self) -> Sequence[Reach]:
        """What the roads to mail exchangers know of our addresses, where they are taken."""
        idle = ("", Road.DIRECT) if self.terms.mode is Mode.SMARTHOST else None
        ways = chain.from_iterable(ways for key, ways in self.ways.items() if key != idle)
        return list(dict.fromkeys([way.reach for way in ways if way.reach is not None]))

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What serves our certificate, as it is now."""
        return self.certificate.context if self.certificate else None


def fittings_for(settings: Settings) -> Fittings:
    """Make them.

    Raises SigningError or ConfigError for keys, NoNameserver or OSError for what is missing.
    """
    lookup = lookup_for(settings)
    return Fittings(
        house=House(
            settings.hostname,
            frozenset(settings.senders),
            settings.preflight,
            rules_for(settings.routes),
        ),
        keyring=Keyring(settings),
        key_records=key_records_for(settings, lookup),
        forwarding=forwarding_for(settings, lookup),
        lookup=lookup,
        tls_policies=[Dane(lookup=lookup, port=settings.delivery.port)],
        ways=ways_for(settings, lookup),
        route_sites={one.name: one.pacing for one in settings.routes if one.pacing is not None},
        terms=terms_for(settings),
        refusals=table_of(settings.refusals),
        room=room_of(settings),
        limits=_limits(settings.limits),
        quotas=_quotas(settings.quotas),
        api_limits=_api_limits(settings.limits),
        history=HistoryTerms(settings.history.keep, settings.history.keys),
        drop_limits=DropLimits(settings.limits.message_size, settings.limits.line_length),
        certificate=_certificate(settings),
    )


def room_of(settings: Settings) -> Room:
    """How much may be under way at once."""
    delivery = settings.delivery
    return Room(
        delivery.concurrency,
        delivery.per_destination,
        delivery.messages_per_connection,
        delivery.linger,
        pacing_of(settings.pacing),
    )


def terms_for(settings: Settings) -> Terms:
    """How long mail is tried and on which roads, route by route."""
    delivery = settings.delivery
    default = Terms(
        delivery.mode,
        RetryPlan(
            delivery.retry, delivery.give_up_after, ambiguous_delay=delivery.timeouts.final_dot
        ),
        delivery.delay_report_after,
        delivery.fallback.plan,
        delivery.hold_for,
    )
    return with_routes(default, settings.routes)


def listeners_of(settings: Settings) -> Sequence[Listener]:
    """Where to listen, and for whom."""
    return [
        Listener(
            _place(listen),
            tls=listen.tls,
            auth=listen.auth,
            networks=listen.networks,
            plaintext_auth=listen.plaintext_auth,
            proxies=listen.proxy,
        )
        for listen in settings.listen
    ]


def _place(listen: Listen) -> Place:
    if isinstance(listen.address, UnixSocket):
        return UnixSocket(listen.address.path, listen.mode, listen.group)
    return listen.address


def _limits(given: Limits) -> SessionLimits:
    return SessionLimits(
        message_size=given.message_size,
        recipients=given.recipients,
        command_length=given.command_length,
        line_length=given.line_length,
        errors=given.errors,
        error_delay_seconds=given.error_delay,
        fruitless=given.junk_commands,
        connections=given.connections,
        connections_per_client=given.connections_per_client,
        buffer_bytes=given.buffer,
        idle_seconds=given.idle,
        hold_seconds=given.hold,
    )


def _quotas(given: Quotas) -> QuotaTerms:
    return QuotaTerms(
        _allowance(given.client_per_hour),
        _allowance(given.client_per_day),
        _allowance(given.total_per_hour),
        _allowance(given.total_per_day),
    )


def _allowance(quota: Quota) -> Allowance:
    return Allowance(quota.messages, quota.recipients, quota.size, quota.connections)


def _api_limits(given: Limits) -> ApiLimits:
    return ApiLimits(
        message_size=given.message_size,
        recipients=given.recipients,
        line_length=given.line_length,
        hold_seconds=given.hold,
        buffer_bytes=given.buffer,
    )


def _certificate(settings: Settings) -> ServerCertificate | None:
    """Our certificate: the configured one, or one that we sign ourselves, once."""
    starts = {listen.tls for listen in settings.listen}
    if settings.admin is not None:
        starts.add(settings.admin.tls)
    if starts == {TlsStart.NONE}:
        return None
    certificate, key = settings.tls.certificate, settings.tls.key
    if certificate is None or key is None:
        from mta.edge.certificates import ensure_self_signed  # for the same reason

        certificate, key = ensure_self_signed(
            settings.spool / "tls", settings.hostname, time.time()
        )
        log.warning("no certificate is configured: using a self-signed one, %s", certificate)
    return ServerCertificate(certificate, key)
