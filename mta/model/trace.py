"""What became of a message, for those who handed it in."""

from mta.model.address import Address
from mta.model.domain import Host, TlsFacts
from mta.model.envelope import MessageId, State
from mta.model.order import Caveat
from mta.model.outcome import Reply
from mta.model.ruling import Cause
from mta.model.value import value


@value
class Fate:
    """What became of one recipient, as of the moment `at` in Unix seconds.

    `next_at` counts while WAITING; what no attempt has brought yet is None. `cause` and `rule` are
    those of a refusal.
    """

    address: Address
    state: State = State.WAITING
    at: float = 0.0
    attempts: int = 0
    next_at: float = 0.0
    reply: Reply | None = None
    host: Host | None = None
    tls: TlsFacts | None = None
    cause: Cause | None = None
    rule: str = ""


@value
class Entry:
    """A message that is about to be stored, or was.

    `user` is the name of who handed it in, "" for somebody unknown. `key` is "" for none;
    `digest` is that of all that came with it. `is_stored`: it is in the spool, or was.
    """

    id: MessageId
    user: str
    at: float
    message_id: str
    warnings: tuple[Caveat, ...] = ()
    key: str = ""
    digest: bytes = b""
    is_stored: bool = False


@value
class Trace:
    """A message that was stored, and what became of each recipient. `settled_at` may be None."""

    entry: Entry
    fates: tuple[Fate, ...]
    settled_at: float | None = None
