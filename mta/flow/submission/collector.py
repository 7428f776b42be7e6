"""Takes up what users of this host left in the drop folder.

A message is not sent before its file is gone for good. So a file that is found again stands for
a message that is still in the spool or never came there, and never for one that was delivered:
docs/submission.md has the table.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress

from mta.model.envelope import Envelope, MessageId, Submission
from mta.model.outcome import Reply
from mta.model.trouble import MaildropError

from mta.rules.message.dropfile import is_drop_id

from mta.flow.ports import Maildrop
from mta.flow.submission.intake import Intake

log = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds between looks
TROUBLE_INTERVAL = 10.0  # the same, after one in vain: each refusal is an event


class Collector:
    """Hands dropped messages to the intake, and holds each back until its file is gone."""

    def __init__(
        self, *, maildrop: Maildrop, intake: Intake, on_free: Callable[[Envelope], None]
    ) -> None:
        """`on_free` gets each message that may be sent."""
        self._maildrop = maildrop
        self._intake = intake
        self._on_free = on_free
        self._arriving: set[MessageId] = set()
        # In the spool, and in the folder still. None: it had been stored, and sent on, before.
        self._held: dict[MessageId, Envelope | None] = {}
        self._trouble = ""

    def holds(self, envelope: Envelope) -> bool:
        """Whether a message that was stored just now has to wait; `on_free` gets it later."""
        if envelope.id not in self._arriving:
            return False
        self._held[envelope.id] = envelope
        return True

    async def resumed(self, envelopes: Iterable[Envelope]) -> list[Envelope]:
        """Of what an earlier life stored: what may be sent at once. `on_free` gets the rest later.

        Those wait whose files are still there, or may be.
        """
        known = list(envelopes)
        dropped = {envelope.id: envelope for envelope in known if is_drop_id(envelope.id)}
        try:
            await self._maildrop.make()
            left = await self._maildrop.ids() & dropped.keys()
            await self._maildrop.remove(left)
        except MaildropError as error:
            self._complain(error)
            self._held |= dropped
        return [envelope for envelope in known if envelope.id not in self._held]

    async def run(self, stop: asyncio.Event) -> None:
        """Collect until `stop` is set; a message that is being stored then is waited for."""
        while not stop.is_set():
            is_well = await self._try_to_collect()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), INTERVAL if is_well else TROUBLE_INTERVAL)

    async def collect(self) -> bool:
        """Take what is there; False where the server cannot take it now, and it is left there.

        A crash anywhere in here repeats work: storing a message again changes nothing, and neither
        does removing its file. Raises MaildropError.
        """
        await self._free()
        found = await self._maildrop.dropped(self._held.keys())
        self._arriving = set(found)
        replies = await asyncio.gather(*(self._take(id, found[id]) for id in found))
        self._arriving = set()
        for id, reply in zip(found, replies, strict=True):
            if reply.code < 400:
                self._held.setdefault(id, None)
            elif reply.code >= 500 and id not in self._held:
                await self._maildrop.put_aside(id, str(reply))
        await self._free()
        is_taken = all(not 400 <= reply.code < 500 for reply in replies)
        if not is_taken:
            self._maildrop.look_again()
        return is_taken

    async def _take(self, id: MessageId, submission: Submission) -> Reply:
        try:
            objection = self._intake.objection_to_envelope(submission)
            return objection or await self._intake.accept(submission, id=id)
        except Exception:
            log.exception("%s: cannot be taken from the drop folder", id)
            return Reply(554, "An error in the server, which its log describes", 3, 0)

    async def _free(self) -> None:
        """Remove the files of what is stored, and let it go its way. Raises MaildropError."""
        if not self._held:
            return
        await self._maildrop.remove(self._held.keys())
        free, self._held = self._held, {}
        for envelope in free.values():
            if envelope is not None:
                self._on_free(envelope)

    async def _try_to_collect(self) -> bool:
        try:
            if self._trouble:
                await self._maildrop.make()
            is_well = await self.collect()
        except MaildropError as error:
            self._complain(error)
            return False
        if self._trouble:
            log.info("the drop folder is well again")
            self._trouble = ""
        return is_well

    def _complain(self, error: MaildropError) -> None:
        """Say what is wrong, once."""
        if str(error) != self._trouble:
            self._trouble = str(error)
            log.error("%s; what is in it waits, and all other mail goes on", error)
