"""What is written to the journal: an entry each, in turns; and where it stands then."""

from asyncio import Future
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mta.model.envelope import MessageId
from mta.model.trouble import SpoolError

from mta.edge.spool.journal.records import Kind


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message's content stands in the journal, and its checksum."""

    segment: int
    at: int
    size: int
    checksum: int


@dataclass(slots=True, eq=False)
class Segment:
    """One file of the journal, and whose records are in it.

    `accepted`, `recorded` and `settled` name the messages with an ACCEPT, a RESULT, a DONE here.
    """

    number: int
    path: Path
    opened_at: float
    accepted: set[MessageId] = field(default_factory=set)
    recorded: set[MessageId] = field(default_factory=set)
    settled: set[MessageId] = field(default_factory=set)

    def note(self, kind: Kind, id: MessageId) -> None:
        """A record of this kind is here."""
        if kind is Kind.ACCEPT or kind is Kind.LARGE:
            self.accepted.add(id)
        elif kind is Kind.RESULT:
            self.recorded.add(id)
        elif kind is Kind.DONE:
            self.settled.add(id)


@dataclass(slots=True, eq=False)
class Entry:
    """What waits to be written, and who waits for it.

    Without a kind it only asks for a sync, and to close the segment if it `seals`. `checksum` is
    that of the body. `landed` is called with the body's place.
    """

    kind: Kind | None
    id: MessageId
    head: bytes = b""
    body: bytes = b""
    checksum: int = 0
    landed: Callable[[Place], None] | None = None
    seals: bool = False
    waiter: "Future[None] | None" = None

    @property
    def is_accept(self) -> bool:
        """Whether it makes a message ours."""
        return self.kind is Kind.ACCEPT or self.kind is Kind.LARGE


@dataclass(slots=True, eq=False)
class Turn:
    """What is written together, and what became of it.

    `number` is its place in the order of appends. It `begins` a segment where none is open. While
    `is_written`, it stands where it should and another may be appended behind it. When it
    `is_over`, `written` stands in `segment` from `at` on, and `refused` could not be written, for
    the reason `error`. `failure` is what came of a first try, and `bug` says that nothing is
    known of it. `took` is the seconds of its sync; 0 for none.
    """

    entries: list[Entry]
    number: int = 0
    buffers: list[bytes] = field(default_factory=list)
    size: int = 0  # in octets
    is_synced: bool = False
    seals: bool = False
    begins: bool = False
    is_written: bool = False
    is_over: bool = False
    took: float = 0.0
    segment: Segment | None = None
    at: int = 0
    written: list[Entry] = field(default_factory=list)
    refused: list[Entry] = field(default_factory=list)
    error: SpoolError | None = None
    failure: OSError | None = None
    bug: BaseException | None = None

    def __post_init__(self) -> None:
        """Lay out its octets now: the thread that writes them is to hold nobody up."""
        self.written = self.entries
        for entry in self.entries:
            if entry.kind is None:
                self.is_synced = True
                self.seals = self.seals or entry.seals
                continue
            self.buffers.append(entry.head)
            self.size += len(entry.head) + len(entry.body)
            if entry.is_accept:
                self.is_synced = True
                self.buffers.append(entry.body)
