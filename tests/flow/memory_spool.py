"""A spool without a disk: keeps the promises of the port, and none after the process ends."""

from collections.abc import Iterable, Mapping

from mta.model.envelope import Envelope, MessageId, Recipient
from mta.model.trouble import SpoolError


class MemorySpool:
    """The Spool port in memory, with its troubles to order.

    Set `closed_because` and the door has an objection. Set `trouble` and each write raises it
    after doing what the port says that it does all the same. `kept` is what was removed.
    """

    def __init__(self) -> None:
        self.closed_because: str | None = None
        self.trouble: SpoolError | None = None
        self.is_writable = True
        self.kept: list[Envelope] = []
        self._envelopes: dict[MessageId, Envelope] = {}
        self._contents: dict[MessageId, bytes] = {}
        self._settled: set[MessageId] = set()

    @classmethod
    def of(cls, other: "MemorySpool") -> "MemorySpool":
        """What another process finds of `other`."""
        found = cls()
        found._envelopes, found._contents = dict(other._envelopes), dict(other._contents)
        found._settled = set(other._settled)
        return found

    async def add(self, envelope: Envelope, content: bytes) -> bool:
        if envelope.id in self._envelopes or envelope.id in self._settled:
            return False
        self._complain()
        self._envelopes[envelope.id] = envelope
        self._contents[envelope.id] = content
        return True

    async def content(self, id: MessageId) -> bytes:
        return self._contents[id]

    async def record(self, id: MessageId, changes: Mapping[int, Recipient]) -> Envelope:
        envelope = self._envelopes[id].with_recipients(changes)
        self._envelopes[id] = envelope
        self._complain()
        return envelope

    async def remove(self, id: MessageId) -> None:
        envelope = self._envelopes.pop(id, None)
        if envelope is None:
            return
        del self._contents[id]
        self._settled.add(id)
        self.kept.append(envelope)
        self._complain()

    def envelope(self, id: MessageId) -> Envelope:
        return self._envelopes[id]

    def envelopes(self) -> Iterable[Envelope]:
        return sorted(self._envelopes.values(), key=lambda envelope: envelope.accepted_at)

    @property
    def count(self) -> int:
        return len(self._envelopes)

    def objection(self, size: int) -> str | None:
        return self.closed_because

    def _complain(self) -> None:
        if self.trouble is not None:
            raise self.trouble
