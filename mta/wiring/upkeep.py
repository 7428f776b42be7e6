"""What wants to be done now and then while a server runs. Whatever fails here, the mail goes on."""

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from mta.model.trouble import LedgerError, SpoolError

from mta.flow.delivery.detours import Detours
from mta.flow.delivery.reach import Reach
from mta.flow.delivery.settlement import Settlement
from mta.flow.submission.logins import Gatekeeper
from mta.flow.submission.quotas import Quotas
from mta.flow.submission.register import Register

from mta.edge.history import History
from mta.edge.memory import read_accounts, read_homes, write_accounts, write_homes
from mta.edge.memory.roads import read_roads, write_roads
from mta.edge.spool.files import FileSpool
from mta.edge.submission import SubmissionServer
from mta.edge.tls import CertificateError, ServerCertificate

from mta.config import ConfigError
from mta.config.users import UsersFile
from mta.wiring.chores import every
from mta.wiring.keywatch import KeyWatch
from mta.wiring.pacebook import PaceBook

log = logging.getLogger(__name__)

MAIL_INTERVAL = 1.0  # seconds between looks for reports that are due and segments that are full
TROUBLE_INTERVAL = 10.0  # seconds between complaints about the spool
SWEEP_INTERVAL = 3600.0  # seconds between looks for what was kept long enough
USERS_INTERVAL = 1.0  # seconds between looks whether the users' file was changed
CERTIFICATE_INTERVAL = 5.0  # the same for the certificate's files
NAMES_INTERVAL = 1.0  # seconds between looks whether our reverse names are to be looked at
ROADS_INTERVAL = 1.0  # the same for which roads are shut
ROADS = "roads.json"  # which those are, in the spool's folder
PACE_INTERVAL = 1.0  # seconds between looks whether the pace of sites is to be written down
COUNTS_INTERVAL = 30.0  # seconds of counting for quotas that a crash may forgive
KEYS_INTERVAL = 5.0  # seconds between looks whether there is something to do for DKIM keys
TERM_INTERVAL = 86_400.0  # seconds between looks whether the certificate ends soon


class Upkeep:
    """Looks after the parts of a server; `users`, `certificate`, `reaches` are those in force."""

    def __init__(
        self,
        folder: Path,
        *,
        spool: FileSpool,
        settlement: Settlement,
        detours: Detours,
        register: Register,
        history: History | None,
        quotas: Quotas,
        gatekeeper: Gatekeeper,
        users: UsersFile,
        door: SubmissionServer,
        certificate: ServerCertificate | None,
        reaches: Sequence[Reach],
        keys: KeyWatch,
        is_first: bool,
        paces: PaceBook | None,
    ) -> None:
        """`folder` is where counts, homes and shut roads are kept.

        `is_first`: of several processes, the one that says what all of them find. `paces` is None
        where another process grants the connections.
        """
        self._is_first = is_first
        self._paces = paces
        self.reaches = reaches
        self._keys = keys
        self.users = users
        self.certificate = certificate
        self._counts_path = folder / "quotas.json"
        self._homes_path = folder / "logins.json"
        self._roads_path = folder / ROADS
        self._spool = spool
        self._settlement = settlement
        self._detours = detours
        self._register = register
        self._history = history
        self._quotas = quotas
        self._gatekeeper = gatekeeper
        self._door = door
        self._swept_at = 0.0

    async def run(self) -> None:
        """Do all of it, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for seconds, step in (
                (MAIL_INTERVAL, self._tidy_mail),
                (USERS_INTERVAL, self._renew_users),
                (CERTIFICATE_INTERVAL, self._renew_certificate),
                (PACE_INTERVAL, self._keep_paces),
                (COUNTS_INTERVAL, self._keep_counts),
                (ROADS_INTERVAL, self._keep_roads),
                (NAMES_INTERVAL, self._look_at_names),
                (KEYS_INTERVAL, self._keys.step),
                (TERM_INTERVAL, self._look_at_term),
            ):
                tasks.create_task(every(seconds, step), name=step.__name__)

    def restore_counts(self) -> None:
        """Go on with what an earlier life of ours counted."""
        try:
            self._quotas.restore(read_accounts(self._counts_path))
        except (OSError, ValueError) as error:
            log.warning("what was counted for quotas is lost: %s", error)
        try:
            self._gatekeeper.restore_homes(read_homes(self._homes_path))
        except (OSError, ValueError) as error:
            log.warning("users are strangers wherever they log in next: %s", error)

        if self._paces is not None:
            self._paces.restore()
        try:
            self._detours.restore(read_roads(self._roads_path))
        except (OSError, ValueError) as error:
            log.warning("every road is tried, whichever was shut before: %s", error)

    async def keep(self) -> None:
        """Write down what is new in all that is kept over a restart."""
        await self._keep_roads()
        await self._keep_paces()
        await self._keep_counts()

    async def _keep_counts(self) -> None:
        accounts, homes = self._quotas.changed_accounts(), self._gatekeeper.new_homes()
        try:
            if accounts is not None:
                await asyncio.to_thread(write_accounts, self._counts_path, accounts)
            if homes is not None:
                await asyncio.to_thread(write_homes, self._homes_path, homes)
        except OSError as error:
            log.warning("what was counted for quotas and logins is not kept: %s", error)

    async def _keep_paces(self) -> None:
        if self._paces is not None:
            await self._paces.keep()

    async def _keep_roads(self) -> None:
        roads = self._detours.changed_roads()
        if roads is None:
            return
        try:
            await asyncio.to_thread(write_roads, self._roads_path, roads)
        except OSError as error:
            log.warning("which roads are shut is not kept: %s", error)

    async def _tidy_mail(self) -> None:
        try:
            await self._register.take_up()
            await self._settlement.report_overdue()
            await self._spool.retire_due(time.time())
            await self._sweep(time.time())
        except SpoolError as error:
            log.error("the spool is in trouble, and is tried again: %s", error)
            await asyncio.sleep(TROUBLE_INTERVAL)

    async def _sweep(self, now: float) -> None:
        if now - self._swept_at <= SWEEP_INTERVAL:
            return
        self._swept_at = now
        await self._spool.sweep(now)
        try:
            if self._history is not None:
                await self._history.sweep(now)
        except LedgerError as error:
            log.error("what is old stays in the history for now: %s", error)

    async def _look_at_names(self) -> None:
        for reach in self.reaches:
            await reach.look_if_due(tells=self._is_first)

    async def _renew_users(self) -> None:
        """Let those log in who stand in the users' file now, where it has changed."""
        users = self.users
        if not users.has_changed:
            return
        try:
            await asyncio.to_thread(users.read)
        except ConfigError as error:
            for problem in error.problems:
                log.error("the users stay as they were: %s", problem)
            return
        if users is self.users:  # no reload came between
            self._gatekeeper.replace(users.accounts)
            log.info("%s has changed; users in it: %d", users.path, len(users.accounts))

    async def _renew_certificate(self) -> None:
        """Use the certificate that has taken the place of ours, if one has."""
        certificate = self.certificate
        if certificate is None:
            return
        try:
            is_new = await asyncio.to_thread(certificate.renew)
        except CertificateError as error:
            log.error("the old certificate stays in use: %s", error)
            return
        if is_new and certificate is self.certificate:  # no reload came between
            self._door.replace_tls(certificate.context)
            log.info("the certificate has changed: using the new one")

    async def _look_at_term(self) -> None:
        """Say when our certificate ends soon, as a start and a reload do."""
        if self.certificate is None:
            return
        objection = await asyncio.to_thread(self.certificate.objection_to_term, time.time())
        if objection is not None:
            log.warning("tls.certificate: %s", objection)
