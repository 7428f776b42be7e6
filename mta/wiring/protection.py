"""What a server knows of others' TLS, wired: policies, memory, counts; kept in the spool's folder.

It outlives a reload. Whatever fails here, the mail goes on.
"""

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mta.model.outcome import Outcome
from mta.model.policy import Unreached

from mta.rules.delivery.routing import usable_addresses
from mta.rules.tls.memory import MemoryTerms, TlsMemory
from mta.rules.tls.report import Reporting
from mta.rules.tls.tally import Tally

from mta.flow.ports import EventLog, Lookup
from mta.flow.submission.intake import Intake
from mta.flow.tls.assurance import Assurance
from mta.flow.tls.policies import Policies
from mta.flow.tls.tlsrecord import TlsRecord
from mta.flow.tls.tlsreporting import TlsReporter

from mta.edge.idn import to_ascii
from mta.edge.memory.tls import (
    FOLDER,
    asked_to_forget,
    make_room,
    read_broken,
    read_counted,
    read_policies,
    read_seen,
    write_counted,
    write_memory,
    write_policies,
)

from mta.config import Settings
from mta.config.tlsreports import TlsReports
from mta.wiring.chores import every
from mta.wiring.fittings import Fittings

if TYPE_CHECKING:
    from mta.edge.https import HttpsClient

log = logging.getLogger(__name__)

KEEP_INTERVAL = 30.0  # seconds of what was learned that a crash may forget
RENEW_INTERVAL = 60.0
REPORT_INTERVAL = 60.0
FORGET_INTERVAL = 5.0


class Protection:
    """Makes the assurance that couriers ask, and looks after what is behind it."""

    def __init__(
        self, settings: Settings, fittings: Fittings, *, events: EventLog, intake: Intake
    ) -> None:
        self._folder = settings.spool / FOLDER
        self._writing = asyncio.Lock()
        self._memory = TlsMemory()
        self._tally = Tally()
        self._web = PolicyWeb(settings, fittings.lookup)
        self._policies = Policies(
            texts=fittings.lookup,
            web=self._web,
            clock=time.time,
            on_relaxed=self._memory.relax,
        )
        self._record = TlsRecord(
            policies=self._policies,
            memory=self._memory,
            tally=self._tally,
            events=events,
            clock=time.time,
        )
        self._reporter = TlsReporter(
            tally=self._tally,
            texts=fittings.lookup,
            web=self._web,
            intake=intake,
            clock=time.time,
            chance=random.random,
            to_ascii=to_ascii,
            tag=str(settings.spool),
        )
        self.renew(settings, fittings)

    def renew(self, settings: Settings, fittings: Fittings) -> None:
        """Put new settings in force; what is known stays."""
        delivery = settings.delivery
        self._web = PolicyWeb(settings, fittings.lookup)
        self._policies.texts, self._policies.web = fittings.lookup, self._web
        self._memory.terms = MemoryTerms(delivery.tls_memory, delivery.handshake_memory)
        self._reporter.texts, self._reporter.web = fittings.lookup, self._web
        self._reporter.port = delivery.policy_port
        self._reporter.reporting = _reporting(settings.tls_reports)
        self._record.tries_testing = settings.tls_reports is not None
        _mind_signature(settings.tls_reports, fittings)
        policies = [*fittings.tls_policies, *([self._policies] if delivery.mta_sts else [])]
        self.assurance = Assurance(policies, record=self._record)

    def restore(self) -> None:
        """Go on with what an earlier life of ours knew."""
        for what, step in (
            ("policies", self._restore_policies),
            ("memory", self._restore_memory),
            ("counts", self._restore_counts),
        ):
            try:
                step()
            except (OSError, ValueError) as error:
                log.warning("the %s of others' TLS are lost: %s", what, error)

    async def run(self) -> None:
        """Look after all of it, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for seconds, step in (
                (KEEP_INTERVAL, self.keep),
                (RENEW_INTERVAL, self._policies.renew_due),
                (REPORT_INTERVAL, self._reporter.report_due),
                (FORGET_INTERVAL, self._forget_asked),
            ):
                tasks.create_task(every(seconds, step, at_once=True), name=f"TLS {step.__name__}")

    async def keep(self) -> None:
        """Write down what is new; what has begun comes to its end, whoever gives up."""
        await asyncio.shield(asyncio.create_task(self._keep_in_turn(), name="what TLS was"))

    async def _keep_in_turn(self) -> None:
        async with self._writing:  # each file is written by one at a time
            await self._write()

    async def _write(self) -> None:
        self._memory.tidy(time.time())
        policies, memory = self._policies.changed(), self._memory.changed()
        counted = self._tally.changed()
        try:
            if policies is not None:
                await asyncio.to_thread(write_policies, self._folder, policies)
            if memory is not None:
                await asyncio.to_thread(write_memory, self._folder, *memory)
            if counted is not None:
                await asyncio.to_thread(write_counted, self._folder, counted)
        except OSError as error:
            log.warning("what was learned of others' TLS is not kept: %s", error)

    async def _forget_asked(self) -> None:
        try:
            domains = await asyncio.to_thread(asked_to_forget, self._folder)
        except OSError as error:
            log.warning("who is to be forgotten cannot be read: %s", error)
            return
        self._forget(domains)

    def _forget(self, domains: Sequence[str]) -> None:
        for domain in domains:
            if self._memory.forget(domain) | self._policies.forget(domain):
                log.info("%s is held to its TLS of before no longer, as was asked", domain)

    def _restore_policies(self) -> None:
        make_room(self._folder)
        self._policies.restore(read_policies(self._folder))

    def _restore_memory(self) -> None:
        self._memory.restore(read_seen(self._folder), read_broken(self._folder))
        self._forget(asked_to_forget(self._folder))

    def _restore_counts(self) -> None:
        self._tally.restore(read_counted(self._folder))


def _reporting(given: TlsReports | None) -> Reporting | None:
    if given is None:
        return None
    return Reporting(given.organization, given.contact, given.sender)


def _mind_signature(given: TlsReports | None, fittings: Fittings) -> None:
    if given is not None and not fittings.signer.signs_for(given.sender.domain):
        log.warning(
            "tls_reports.sender: no key signs for %s, and nobody takes reports without: "
            "they go by HTTPS alone; mta dkim new %s makes one",
            given.sender.domain,
            given.sender.domain,
        )


class PolicyWeb:
    """HTTPS by a library that is loaded when it is first needed."""

    def __init__(self, settings: Settings, lookup: Lookup) -> None:
        self._settings = settings
        self._lookup = lookup
        self._client: HttpsClient | None = None

    async def text(self, host: str, path: str, *, limit: int) -> bytes | Unreached:
        return await (await self._loaded()).text(host, path, limit=limit)

    async def post(self, url: str, content: bytes, content_type: str) -> Unreached | None:
        return await (await self._loaded()).post(url, content, content_type)

    async def _loaded(self) -> "HttpsClient":
        if self._client is None:
            self._client = await asyncio.to_thread(self._made)
        return self._client

    def _made(self) -> "HttpsClient":
        from mta.edge.https import HttpsClient  # with a library of 11 MB

        return HttpsClient(
            resolve=self._addresses, agent="mta", port=self._settings.delivery.policy_port
        )

    async def _addresses(self, host: str) -> Sequence[str]:
        """Where a host may be connected to, whose name a stranger chose."""
        usable = usable_addresses(
            host,
            await self._lookup.addresses(host),
            private_allowed=self._settings.delivery.private_addresses,
            is_implicit=False,
        )
        if isinstance(usable, Outcome):
            raise OSError(usable.reply.text)
        return usable
