"""TLS sessions that are taken up again, so that the next handshake with a host costs less."""

import ssl
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

MAX_AGE = 3600.0  # seconds; a certificate that was verified may be expired or distrusted since
MAX_SESSIONS = 100  # of one context; each holds the peer's certificates, 16 KiB in all


class ResumingContext(ssl.SSLContext):
    """Shakes hands with a host as it did before, if it did.

    A session that is taken up proves what its first handshake proved. So it belongs to the
    context that made it, which stands for one demand, and to the name that was asked for.
    """

    _kept: OrderedDict[str, "_Kept"]
    _clock: Callable[[], float]

    @classmethod
    def for_client(cls, clock: Callable[[], float] = time.time) -> Self:
        """A context that verifies, until it is told otherwise, and trusts nobody yet."""
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context._kept = OrderedDict()
        context._clock = clock
        return context

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As the event loop calls it, which knows no sessions."""
        kept = self._known(str(server_hostname))
        known = kept.session if kept is not None and session is None else session
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, known)

    def knows(self, name: str) -> bool:
        """Whether the next handshake under this name takes up a session."""
        return self._known(name) is not None

    def keep(self, name: str, connection: ssl.SSLObject) -> None:
        """Take up the session of this connection next time.

        In TLS 1.3 it can be had once the peer has said something in it.
        """
        session, before = connection.session, self._kept.get(name)
        if session is None or not (session.has_ticket or session.id):
            return
        since = before.since if before and connection.session_reused else self._clock()
        self._kept[name] = _Kept(session, since)
        self._kept.move_to_end(name)
        if len(self._kept) > MAX_SESSIONS:
            self._kept.popitem(last=False)

    def forget(self, name: str) -> None:
        """Begin anew next time."""
        self._kept.pop(name, None)

    def _known(self, name: str) -> "_Kept | None":
        kept = self._kept.get(name)
        if kept is not None and not 0 <= self._clock() - kept.since < MAX_AGE:
            self.forget(name)
            return None
        return kept


@dataclass(frozen=True, slots=True)
class _Kept:
    """A session, and when its first handshake was: what it proved is as old as that."""

    session: ssl.SSLSession
    since: float
