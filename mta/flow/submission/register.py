"""What was handed in under which key, and is asked after: stored once, and followed to its end.

The order of effects, each durable before the next begins:

1. the entry (user, key, digest, the id that the message will have) is in the ledger;
2. the message is in the spool, under that id;
3. the client has its answer;
4. what became of the last recipient is in the ledger;
5. the spool forgets the message.

A crash after 1 leaves an entry without a message: `take_up` removes it at the next start, before
anybody can ask. A crash after 2 leaves a message in the spool, whose entry is then completed, so
that the same key is answered and nothing is stored again. Because of 4, an entry that is not known
to be stored and has no message in the spool never had one.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from mta.model.envelope import MessageId
from mta.model.event import Event, Kind
from mta.model.order import Receipt, Taking
from mta.model.outcome import Reply
from mta.model.trace import Entry, Trace
from mta.model.trouble import LedgerError

from mta.flow.ports import EventLog, Ledger, Spool

log = logging.getLogger(__name__)

TROUBLE = Reply(451, "What is sent cannot be written down now, try again later", 3, 0)
CONFLICT = Reply(554, "This Idempotency-Key came before, with another message", 6, 0)
NO_LEDGER = Reply(554, "An Idempotency-Key cannot be honoured: no history is kept here", 6, 0)
ELSEWHERE = Reply(451, "The same message is under way in another process", 3, 0)


class Register:
    """Follows the messages that are entered, and is the event log of all."""

    def __init__(self, *, ledger: Ledger | None, spool: Spool, events: EventLog) -> None:
        """Without a ledger nothing is followed, and no key honoured."""
        self._ledger = ledger
        self._spool = spool
        self._events = events
        self._is_ready = ledger is None  # not before what a crash left is in order
        self._followed: set[MessageId] = set()  # entered, and not settled
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    def emit(self, event: Event) -> None:
        """See `EventLog`: what concerns a followed message goes to the ledger, too."""
        if event.id in self._followed and self._ledger is not None:
            self._ledger.note(event)
            if event.kind is Kind.SETTLED:
                self._followed.remove(event.id)
        self._events.emit(event)

    def follows(self, id: MessageId) -> bool:
        """Whether what becomes of this message is written down."""
        return id in self._followed

    async def take_up(self) -> None:
        """Bring entries and spool together, after a crash too; nothing is entered before.

        Where that fails, it is to be tried again.
        """
        if self._is_ready or self._ledger is None:
            return
        try:
            await self._bring_together(self._ledger)
        except LedgerError as error:
            log.error("nothing that wants to be remembered can be taken: %s", error)
        else:
            self._is_ready = True

    async def _bring_together(self, ledger: Ledger) -> None:
        for entry in await ledger.unsettled():
            try:
                envelope = self._spool.envelope(entry.id)
            except KeyError:
                await ledger.close(entry)
            else:
                await ledger.renew(envelope)
                self._followed.add(entry.id)

    async def once(self, trace: Trace, store: Callable[[], Awaitable[Reply]]) -> Receipt:
        """Have a message stored, unless the same one was before; `store` gives the reply to it.

        Requests with the same key wait for each other.
        """
        ledger, entry = self._ledger, trace.entry
        if ledger is None:
            return Receipt(Taking.REFUSED, NO_LEDGER) if entry.key else await _stored(entry, store)
        if not self._is_ready:
            return Receipt(Taking.REFUSED, TROUBLE)
        if not entry.key:
            return await self._enter(ledger, trace, store)
        name = (entry.user, entry.key)
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        async with lock:
            return await self._enter(ledger, trace, store)

    async def written(self, id: MessageId) -> None:
        """Return when all that is known of a followed message is on disk, or cannot be."""
        if self._ledger is not None:
            try:
                await self._ledger.flush()
            except LedgerError as error:
                log.error("%s: what became of it is not in the history: %s", id, error)

    async def trace(self, id: MessageId, user: str) -> Trace | None:
        """What became of a message of this user's; None where there is none. Raises LedgerError."""
        return None if self._ledger is None else await self._ledger.trace(id, user)

    async def _enter(
        self, ledger: Ledger, trace: Trace, store: Callable[[], Awaitable[Reply]]
    ) -> Receipt:
        entry = trace.entry
        try:
            before = await ledger.claim(trace)
        except LedgerError as error:
            log.error("%s: not entered: %s", entry.id, error)
            return Receipt(Taking.REFUSED, TROUBLE)
        if before is not None:
            return _answered(before, entry)
        self._followed.add(entry.id)
        receipt = await _stored(entry, store)
        if receipt.taking is not Taking.TAKEN:
            await self._forget(ledger, entry)
        return receipt

    async def _forget(self, ledger: Ledger, entry: Entry) -> None:
        self._followed.discard(entry.id)
        try:
            await ledger.close(entry)
        except LedgerError as error:
            log.error("%s: its entry could not be removed: %s", entry.id, error)


async def _stored(entry: Entry, store: Callable[[], Awaitable[Reply]]) -> Receipt:
    reply = await store()
    if reply.is_positive:
        return _receipt(Taking.TAKEN, entry)
    return Receipt(Taking.REFUSED, reply)


def _answered(before: Entry, entry: Entry) -> Receipt:
    """What is said to a key that came before."""
    if before.digest != entry.digest:
        return Receipt(Taking.CONFLICT, CONFLICT)
    if not before.is_stored:
        return Receipt(Taking.REFUSED, ELSEWHERE)
    return _receipt(Taking.REPEATED, before)


def _receipt(taking: Taking, entry: Entry) -> Receipt:
    reply = Reply(250, f"Queued as {entry.id}")
    return Receipt(taking, reply, entry.id, entry.message_id, entry.warnings)
