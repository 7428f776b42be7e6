"""One connection as octets and time: what came, what is to be said, TLS, and how it ends.

It is an aiosmtpd protocol, with aiosmtpd's place in the event loop and with none of its
per-connection costs: no table is built by reflection, and nothing that is said is logged.
"""

import asyncio
import ssl
from collections.abc import Callable

from aiosmtpd.smtp import SMTP

from mta.model.outcome import Reply

_INBOX_FULL = 64 * 1024  # octets waiting to be looked at, after which we stop reading
_LINGER_SECONDS = 5.0  # for a peer to read our last words

_IDLE = Reply(421, "Nothing came for too long", 4, 2)


class Ended(Exception):
    """There will be no more input: the peer has gone, or is to go with `reply`."""

    def __init__(self, reply: Reply | None = None) -> None:
        super().__init__()
        self.reply = reply


class Link(SMTP):
    """Keeps what came until somebody looks at it, and reads on only when somebody waits for more.

    So a peer can fill no memory. One timer watches that it comes forward in time.
    """

    _link: asyncio.Transport

    def __init__(self, *, loop: asyncio.AbstractEventLoop, idle_seconds: float) -> None:
        """`idle_seconds` is how often at least the time is looked at."""
        # Past SMTP's own constructor, whose tables cost more than a message. No StreamReader:
        # its limits are no limits (it stops reading at twice its size, and keeps what it has).
        asyncio.StreamReaderProtocol.__init__(self, None, loop=loop)  # type: ignore[arg-type]  # None is allowed for
        self._event_loop = loop
        self._idle_seconds = idle_seconds
        self._inbox = bytearray()
        self._outbox: list[bytes] = []
        self._arrival: asyncio.Future[None] | None = None  # somebody waits for input
        self._gone = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._until = 0.0  # the loop's time by which the peer must have come forward
        self._is_paused = False  # what comes stays with the kernel
        self._is_securing = False
        self._is_reading_content = False
        self._is_accepting = False
        self._is_over = False  # nothing more will be read
        self._is_interrupted = False  # … though the peer may have more to say
        self._has_peer_ended = False  # nothing more will come
        self._farewell: Reply | None = None  # to be said between two commands
        self._dismissal: Reply | None = None  # to be said as soon as input is waited for

    # What the event loop calls

    def data_received(self, data: bytes) -> None:
        """Keep octets until somebody looks at them."""
        if self._is_over:
            return
        self._inbox += data
        if len(self._inbox) > _INBOX_FULL and not self._is_paused and not self._is_securing:
            self._link.pause_reading()
            self._is_paused = True
        self._wake()

    def eof_received(self) -> bool:
        """The peer says no more; it may still listen, unless TLS ended with it."""
        self._has_peer_ended = True
        self._wake()
        return not self._is_over and not self._is_secured

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone; a message being taken is taken all the same."""
        self._has_peer_ended = True
        self._gone.set()
        self._cancel_timer()
        self._wake()
        asyncio.StreamReaderProtocol.connection_lost(self, error)

    # What the server calls

    def retire(self, reply: Reply) -> None:
        """Let the message under way come to its end, then say goodbye."""
        self._farewell = reply
        if not self._is_reading_content:
            self._wake()

    def dismiss(self, reply: Reply) -> None:
        """Say goodbye unless a message is being taken; hang up on a peer that hears nothing."""
        self._dismissal = reply
        if self._arrival is not None:
            self._wake()
        elif not self._is_accepting:
            self._link.abort()

    # What a session calls

    @property
    def _is_secured(self) -> bool:
        return self._link.get_extra_info("ssl_object") is not None

    def _say(self, line: bytes) -> None:
        self._outbox.append(line)

    def _flush(self) -> None:
        if self._outbox and not self._link.is_closing():
            self._link.write(b"".join(self._outbox))
        self._outbox.clear()

    async def _more(self) -> None:
        """Send what is to be said, then wait for input; raises Ended where there will be none.

        Whoever calls has done all that can be done with the inbox as it is.
        """
        known = len(self._inbox)
        self._flush()
        await self._drain_helper()  # type: ignore[attr-defined]  # asyncio's, and not in the stubs
        self._check_end()
        if len(self._inbox) > known:
            return  # it came while the peer was slow to hear us
        self._resume()
        self._arrival = self._event_loop.create_future()
        try:
            await self._arrival
        finally:
            self._arrival = None

    def _check_end(self) -> None:
        reply = self._dismissal or (None if self._is_reading_content else self._farewell)
        if reply is not None or self._has_peer_ended:
            raise Ended(reply)

    def _resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._link.resume_reading()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _start_timer(self) -> None:
        self._wait_until(self._idle_seconds)
        self._set_timer(self._idle_seconds, self._check_time)

    def _wait_until(self, seconds: float) -> None:
        self._until = self._event_loop.time() + seconds

    def _check_time(self) -> None:
        """Look whether the peer came forward in time: one timer for the whole session."""
        left = self._until - self._event_loop.time()
        if left <= 0:
            self.dismiss(_IDLE)
            left = self._idle_seconds
        self._set_timer(min(left, self._idle_seconds), self._check_time)

    def _set_timer(self, seconds: float, what: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = self._event_loop.call_later(seconds, what)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _hang_up(self) -> None:
        """Send the last words, and close so that the peer can read them.

        Closing on input that was not read would reset the connection, and what we said with it:
        where the peer is still talking, only our side is shut, and we hear it out for a while.
        """
        self._is_over = True
        self._flush()
        if self._gone.is_set():
            self._cancel_timer()
            return
        self._set_timer(_LINGER_SECONDS, self._link.abort)
        is_talking = self._is_interrupted or self._is_reading_content or bool(self._inbox)
        self._inbox.clear()
        can_linger = not self._link.is_closing() and not self._has_peer_ended
        if is_talking and can_linger and self._link.can_write_eof():
            self._link.write_eof()
            self._resume()
        else:
            self._link.close()

    async def _secure(self, context: ssl.SSLContext, limit_seconds: float) -> None:
        """Shake hands. Raises OSError."""
        self._wait_until(2 * limit_seconds)
        self._is_securing = True
        try:
            link = await self._event_loop.start_tls(
                self._link,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=limit_seconds,
            )
        except OSError:
            self._gone.set()  # before the handshake is done, nobody tells us that the link is lost
            raise
        self._is_securing = False
        if link is None:
            raise ConnectionAbortedError("the peer went during the handshake")
        self._link = link


def client_of(peer: tuple[str, int] | None) -> str:
    """The IP address in a socket's peer name, as people write it; "" for a peer that has gone."""
    return peer[0].partition("%")[0].removeprefix("::ffff:") if peer else ""
