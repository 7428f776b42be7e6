"""Sends what was counted of TLS to the domains that want to know, once a day (RFC 8460).

The order of effects: a report is stored, or taken by a host of the Web, before its counts are
forgotten. A crash between sends it once more, under the same id.
"""

import logging
from collections.abc import Callable

from mta.model.domain import Finding
from mta.model.trouble import SpoolError

from mta.rules.tls.report import (
    MEDIA_TYPE,
    Occasion,
    Receivers,
    Reporting,
    mail_for,
    packed,
    receivers_in,
    record_name,
    report_for,
    report_id,
)
from mta.rules.tls.tally import DAY, Tally

from mta.flow.ports import Chance, Clock, Texts, Web
from mta.flow.submission.intake import Intake

log = logging.getLogger(__name__)

LONGEST_DELAY = 4 * 3600.0  # seconds after midnight: not all of the Internet at once, RFC 8460 §4.1
EXPIRY = 36 * 3600.0  # seconds after the end of a day, then what could not be sent is forgotten
RETRY = 3600.0
AT_ONCE = 200  # domains in one step


class TlsReporter:
    """Sends reports in the name of `reporting`; None: nobody reports, and counts are let go.

    `tag` sets several processes of one server apart; `port` is the one that receivers' URLs may
    name.
    """

    def __init__(
        self,
        *,
        tally: Tally,
        texts: Texts,
        web: Web,
        intake: Intake,
        clock: Clock,
        chance: Chance,
        to_ascii: Callable[[str], str],
        tag: str = "",
    ) -> None:
        self.texts = texts
        self.web = web
        self.port = 443
        self.reporting: Reporting | None = None
        self._tally = tally
        self._intake = intake
        self._clock = clock
        self._to_ascii = to_ascii
        self._tag = tag
        self._delay = 60.0 + chance() * (LONGEST_DELAY - 60.0)
        self._again_at: dict[tuple[int, str], float] = {}

    async def report_due(self) -> None:
        """Report what is finished, some of it at a time."""
        finished = self._tally.finished(self._clock())
        self._again_at = {key: at for key, at in self._again_at.items() if key in finished}
        due = [key for key in finished if self._is_due(*key)]
        for day, domain in due[:AT_ONCE]:
            if self.reporting is None or self._clock() >= (day + 1) * DAY + EXPIRY:
                self._tally.settle(day, domain)
            else:
                await self._report(self.reporting, day, domain)

    def _is_due(self, day: int, domain: str) -> bool:
        now = self._clock()
        return now >= (day + 1) * DAY + self._delay and now >= self._again_at.get((day, domain), 0)

    async def _report(self, reporting: Reporting, day: int, domain: str) -> None:
        answer = await self.texts.txt(record_name(domain))
        receivers = receivers_in(answer.records, self._to_ascii, port=self.port)
        is_known = answer.finding is not Finding.UNKNOWN
        if is_known and (not receivers or await self._is_sent(reporting, day, domain, receivers)):
            self._tally.settle(day, domain)
        else:
            self._again_at[day, domain] = self._clock() + RETRY

    async def _is_sent(
        self, reporting: Reporting, day: int, domain: str, receivers: Receivers
    ) -> bool:
        """Whether one of the receivers has it, or will."""
        id = report_id(day, domain, self._tag)
        counted = self._tally.of_domain(domain, day)
        content = packed(report_for(reporting, id, domain, day, counted))
        is_taken = False
        for url in receivers.urls:
            trouble = await self.web.post(url, content, MEDIA_TYPE)
            is_taken |= trouble is None
            if trouble is not None:
                log.info("the TLS report for %s is not taken at %s: %s", domain, url, trouble.text)
        if not receivers.mailboxes:
            return is_taken
        if not self._intake.signer.signs_for(reporting.sender.domain):
            log.warning(
                "the TLS report for %s is not sent: no key signs for %s (RFC 8460 §3)",
                domain,
                reporting.sender.domain,
            )
            return True
        hostname = self._intake.house.hostname
        occasion = Occasion(id, domain, day, hostname, self._clock())
        try:
            mail = mail_for(occasion, reporting, receivers.mailboxes, content)
            await self._intake.enqueue(id, mail)
        except SpoolError as error:
            log.error("the TLS report for %s cannot be stored now: %s", domain, error)
            return is_taken
        return True
