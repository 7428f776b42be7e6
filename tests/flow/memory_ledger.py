"""A ledger without a disk: keeps the promises of the port, and its troubles to order."""

from collections.abc import Sequence
from dataclasses import replace

from mta.model.envelope import Envelope, MessageId, State
from mta.model.event import Event, Kind
from mta.model.trace import Entry, Fate, Trace
from mta.model.trouble import LedgerError


class MemoryLedger:
    """The Ledger port in memory. `noted` is what no `flush` or later step has brought to disk."""

    def __init__(self) -> None:
        self.traces: dict[MessageId, Trace] = {}
        self.noted: list[Event] = []
        self.trouble: LedgerError | None = None

    def crash(self) -> None:
        """Lose what was noted lately."""
        self.noted.clear()

    async def claim(self, trace: Trace) -> Entry | None:
        await self.flush()
        for before in list(self.traces.values()):
            entry = before.entry
            if entry.key and (entry.user, entry.key) == (trace.entry.user, trace.entry.key):
                if entry.is_stored:
                    return entry
                del self.traces[entry.id]
        self.traces[trace.entry.id] = trace
        return None

    async def close(self, entry: Entry) -> None:
        await self.flush()
        trace = self.traces.pop(entry.id)
        if trace.entry.is_stored:
            self.traces[entry.id] = replace(trace, settled_at=1.0)

    async def renew(self, envelope: Envelope) -> None:
        await self.flush()
        self._is_stored(envelope.id)

    async def unsettled(self) -> Sequence[Entry]:
        await self.flush()
        return [one.entry for one in self.traces.values() if one.settled_at is None]

    async def trace(self, id: MessageId, user: str) -> Trace | None:
        await self.flush()
        found = self.traces.get(id)
        return found if found and found.entry.is_stored and found.entry.user == user else None

    def note(self, event: Event) -> None:
        self.noted.append(event)

    async def flush(self) -> None:
        if self.trouble is not None:
            raise self.trouble
        for event in self.noted:
            self._write(event)
        self.noted.clear()

    def _write(self, event: Event) -> None:
        assert event.id is not None
        if event.kind is Kind.ACCEPTED:
            self._is_stored(event.id)
        trace = self.traces[event.id]
        if event.kind is Kind.SETTLED:
            self.traces[event.id] = replace(trace, settled_at=event.at)
        elif event.kind in _STATES:
            fates = [
                Fate(one.address, _STATES[event.kind], event.at, reply=event.reply)
                if one.address == event.recipient
                else one
                for one in trace.fates
            ]
            self.traces[event.id] = replace(trace, fates=tuple(fates))

    def _is_stored(self, id: MessageId) -> None:
        trace = self.traces[id]
        self.traces[id] = replace(trace, entry=replace(trace.entry, is_stored=True))


_STATES = {
    Kind.DELIVERED: State.DELIVERED,
    Kind.DEFERRED: State.WAITING,
    Kind.FAILED: State.FAILED,
}
