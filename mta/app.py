"""The wiring: builds every object of a running server; starts, reloads and stops it."""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Sequence
from types import MappingProxyType

from mta.model.envelope import Destination, Envelope, MessageId, Road

from mta.rules.routes.strays import strays

from mta.flow.delivery.courier import Courier, Way
from mta.flow.delivery.detours import Detours
from mta.flow.delivery.dispatcher import Dispatcher
from mta.flow.delivery.reporting import Reporter
from mta.flow.delivery.settlement import Settlement
from mta.flow.delivery.sites import Sites
from mta.flow.delivery.slots import Slots
from mta.flow.delivery.throttles import Throttles
from mta.flow.ports import EventLog, SlotKeeper
from mta.flow.submission.collector import Collector
from mta.flow.submission.desk import Desk
from mta.flow.submission.intake import Intake
from mta.flow.submission.logins import Gatekeeper
from mta.flow.submission.quotas import Quotas
from mta.flow.submission.register import Register

from mta.edge.history import History
from mta.edge.idn import to_ascii
from mta.edge.maildrop.folder import MaildropFolder
from mta.edge.passwords import Passwords
from mta.edge.spool.files import FileSpool
from mta.edge.submission import Given, SubmissionServer

from mta.config import Settings
from mta.config.users import UsersFile
from mta.wiring.fittings import fittings_for, listeners_of
from mta.wiring.httpdoor import http_door
from mta.wiring.keywatch import KeyWatch
from mta.wiring.pacebook import PaceBook
from mta.wiring.pauses import ShortPauses
from mta.wiring.protection import Protection
from mta.wiring.roads import fixed_site
from mta.wiring.upkeep import Upkeep

log = logging.getLogger(__name__)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # no i, l, o, u: an id can be read out aloud
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_ids = random.Random()  # noqa: S311 - an id is unique, and no secret


def new_id() -> MessageId:
    """A message's id: 9 characters of time, so that ids sort by age, and 9 of chance."""
    number = (time.time_ns() // 1_000_000) << 45 | _ids.getrandbits(45)
    return MessageId("".join([_PAIRS[number >> shift & 1023] for shift in range(80, -1, -10)]))


class Server:
    """A running server: one spool, a way in, a way out."""

    def __init__(
        self,
        settings: Settings,
        *,
        spool: FileSpool,
        events: EventLog,
        history: History | None = None,
        slots: SlotKeeper | None = None,
        given: Given = MappingProxyType({}),
        is_first: bool = True,
    ) -> None:
        """Wire everything; nothing runs yet. Raises what `fittings_for` raises, and ConfigError.

        `history` is None where none is kept.
        `slots` is whoever grants connections to several processes; None: this is the only one.
        `given` are listeners' sockets that are open already.
        `is_first`: of several processes, the one that does what one alone is to do.
        """
        self._settings = settings
        self._fittings = fittings = fittings_for(settings)
        self._own_slots = Slots(fittings.room, clock=time.time)
        self._sites = Sites(
            lookup=fittings.lookup,
            fixed=self._fixed_site,
            clock=time.time,
            named=fittings.room.pacing.names,
        )
        self._quotas = Quotas(terms=fittings.quotas, clock=time.time)
        users = UsersFile(settings.users)
        self._gatekeeper = Gatekeeper(
            users.read(),
            verifier=Passwords(),
            events=events,
            clock=time.time,
            key=secrets.token_bytes(32),
        )
        self._spool = spool
        self._history = history
        self._register = Register(ledger=history, spool=spool, events=events)
        self._intake = Intake(
            house=fittings.house,
            spool=spool,
            signer=fittings.signer,
            register=self._register,
            quotas=self._quotas,
            clock=time.time,
            new_id=new_id,
            on_stored=self._on_stored,
            to_ascii=to_ascii,
            user_of=self._gatekeeper.user,
            forwarding=fittings.forwarding,
        )
        self._detours = Detours(site_of=self._sites.known, events=self._register, clock=time.time)
        self._protection = Protection(settings, fittings, events=events, intake=self._intake)
        self._settlement = Settlement(
            terms=fittings.terms,
            spool=spool,
            reporter=Reporter(
                spool=spool, intake=self._intake, events=self._register, clock=time.time
            ),
            register=self._register,
            detours=self._detours,
            clock=time.time,
            chance=random.random,
        )
        self._dispatcher = Dispatcher(
            room=fittings.room,
            slots=slots or self._own_slots,
            spool=spool,
            settlement=self._settlement,
            courier_to=self._courier_to,
            detours=self._detours,
            sites=self._sites,
            throttles=Throttles(site_of=self._sites.known, events=events, clock=time.time),
            clock=time.time,
        )
        (slots or self._own_slots).join(self._dispatcher)
        self._collector: Collector | None = None
        if settings.maildrop is not None:
            self._maildrop = MaildropFolder(settings.maildrop, fittings.drop_limits)
            self._collector = Collector(
                maildrop=self._maildrop, intake=self._intake, on_free=self._dispatcher.enqueue
            )
        self._door = SubmissionServer(
            listeners=listeners_of(settings),
            door=self._intake,
            hostname=settings.hostname,
            to_ascii=to_ascii,
            limits=fittings.limits,
            bare_newlines=settings.bare_newlines,
            tls=fittings.tls,
            logins=self._gatekeeper,
            shares_ports=slots is not None,
            given=given,
        )
        desk = Desk(intake=self._intake, spool=spool, register=self._register)
        self._http = (
            http_door(settings, settings.admin, desk, self._gatekeeper, lambda: self._fittings)
            if settings.admin is not None
            else None
        )
        self._keys = KeyWatch(fittings.keyring, fittings.key_records, is_first=is_first)
        self._upkeep = Upkeep(
            settings.spool,
            spool=spool,
            settlement=self._settlement,
            detours=self._detours,
            register=self._register,
            history=history,
            quotas=self._quotas,
            gatekeeper=self._gatekeeper,
            users=users,
            door=self._door,
            certificate=fittings.certificate,
            reaches=fittings.reaches,
            keys=self._keys,
            is_first=is_first,
            paces=PaceBook(settings.spool, self._own_slots) if slots is None else None,
        )

    @property
    def places(self) -> tuple[str, ...]:
        """Where it listens, as people write it."""
        return self._door.places

    async def start(self) -> None:
        """Listen, and take up what is queued. Raises ListenError."""
        self._upkeep.restore_counts()
        self._protection.restore()
        await self._register.take_up()
        await self._door.start()
        envelopes = list(self._spool.envelopes())
        if self._collector is not None:
            envelopes = await self._collector.resumed(envelopes)
        await self._dispatcher.resume(envelopes)
        self._tell_of_strays()
        if self._http is not None:
            await self._http.start()

    async def run(self, stop: asyncio.Event) -> None:
        """Carry mail until `stop` is set, then end in good order."""
        with ShortPauses(lambda: self._spool.count):
            await self._carry(stop)
        await self._upkeep.keep()
        await self._protection.keep()
        if self._history is not None:
            await asyncio.to_thread(self._history.shut)

    async def _carry(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._dispatcher.run(), name="dispatcher")
            if self._collector is not None:
                tasks.create_task(self._collector.run(stop), name="collector")
            upkeep = tasks.create_task(self._upkeep.run(), name="upkeep")
            protection = tasks.create_task(self._protection.run(), name="protection")
            await stop.wait()
            await self._stop()
            upkeep.cancel()
            protection.cancel()

    def reload(self, settings: Settings) -> None:
        """Put new settings in force, whole or not at all. Raises what the constructor raises.

        Listeners and the spool stay where they are until a restart.
        """
        fittings, users = fittings_for(settings), self._upkeep.users
        if users.path != settings.users:
            users = UsersFile(settings.users)
        if users.has_changed or users.is_broken:
            users.read()
        self._fittings = fittings
        self._protection.renew(settings, fittings)
        self._upkeep.users, self._upkeep.certificate = users, fittings.certificate
        self._upkeep.reaches = fittings.reaches
        self._gatekeeper.replace(users.accounts)
        self._intake.house, self._intake.signer = fittings.house, fittings.signer
        self._intake.forwarding = fittings.forwarding
        self._keys.renew(fittings.keyring, fittings.key_records)
        self._quotas.replace_terms(fittings.quotas)
        self._settlement.renew(fittings.terms)
        self._sites.renew(fittings.lookup, fittings.room.pacing.names)
        self._own_slots.renew(fittings.room)
        self._dispatcher.room = fittings.room
        self._dispatcher.reroute()
        self._tell_of_strays()
        if fittings.tls is not None:
            self._door.replace_tls(fittings.tls)
        if self._history is not None:
            self._history.terms = fittings.history
        self._door.replace_limits(fittings.limits)
        if self._collector is not None:
            self._maildrop.limits = fittings.drop_limits

    def _tell_of_strays(self) -> None:
        routes = self._fittings.terms.routes
        for name, count in strays(self._spool.envelopes(), routes).items():
            text = "the route %s is gone: %d recipients that wait for it take the default one"
            log.warning(text, name, count)

    def _on_stored(self, envelope: Envelope) -> None:
        if self._collector is None or not self._collector.holds(envelope):
            self._dispatcher.enqueue(envelope)

    async def _stop(self) -> None:
        """Let nobody in, and what is under way end within the time that the settings give."""
        limit = self._settings.shutdown
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._door.drain(limit), name="drain")
            if self._http is not None:
                tasks.create_task(self._http.drain(limit), name="drain HTTP")
            tasks.create_task(self._dispatcher.stop(limit), name="stop")

    def _fixed_site(self, destination: Destination) -> str | None:
        named = self._fittings.route_sites.get(destination.route)
        return named or fixed_site(self._ways_to(destination))

    def _ways_to(self, destination: Destination) -> Sequence[Way]:
        """How its road is travelled; a reload may have taken it away a moment ago."""
        ways = self._fittings.ways
        found = ways.get((destination.route, destination.road))
        return found or ways.get(("", destination.road)) or ways["", Road.DIRECT]

    def _courier_to(self, destination: Destination) -> Courier:
        return Courier(
            destination,
            ways=self._ways_to(destination),
            lookup=self._fittings.lookup,
            own_names={self._fittings.house.hostname},
            chance=random.random,
            assurance=self._protection.assurance,
            refusals=self._fittings.refusals,
        )
