"""One connection as octets and time: what came, what is to be said, TLS, and how it ends.

It is an aiosmtpd protocol, with aiosmtpd's place in the event loop and with none of its
per-connection costs: no table is built by reflection, and nothing that is said is logged.
"""

import asyncio
import ssl
from collections.abc import Callable
from enum import Enum, auto

from aiosmtpd.smtp import SMTP

from mta.model.outcome import Reply

from mta.edge.submission.answers import line_of

_INBOX_FULL = 64 * 1024  # octets waiting to be looked at, after which we stop reading
_LINGER_SECONDS = 5.0  # for a peer to read our last words

_IDLE = Reply(421, "Nothing came for too long", 4, 2)


class Phase(Enum):
    """What a connection is about."""

    COMMANDS = auto()  # the peer is to say a command
    CONTENT = auto()  # the peer is to send its message
    RESPONSES = auto()  # the peer is to answer a challenge of AUTH
    ACCEPTING = auto()  # an answer takes its time: of the door, to a login, to many mistakes
    SECURING = auto()  # TLS shakes hands
    OVER = auto()  # nothing more is read


# By these names a phase is looked at in 20 ns instead of 75, and that ten times for a command.
COMMANDS, CONTENT, RESPONSES, ACCEPTING, SECURING, OVER = Phase


class Link(SMTP):
    """Does at once what can be done with what comes, and answers all of it in one write.

    In three cases what comes is kept for later, and past a bound left with the kernel, so that a
    peer can fill no memory: while the door takes a message, while TLS shakes hands, and while
    the peer does not read what we said. One timer watches that it comes forward in time.

    Nothing waits for input. With a task that awaited each read, our part of a message in a
    connection of its own took 88 us; without, and with what was made once instead of each time,
    35. What cannot be done at once has a task, and comes back with `_go_on`.
    """

    _link: asyncio.Transport

    def __init__(self, *, loop: asyncio.AbstractEventLoop, idle_seconds: float) -> None:
        """`idle_seconds` is how often at least the time is looked at."""
        # Past the constructors of SMTP and of the stream that it is: their tables cost more
        # than a message, and a stream's limits are no limits.
        self._event_loop = loop
        self._idle_seconds = idle_seconds
        self._phase = COMMANDS
        self._inbox = bytearray()  # what came and has to wait; the beginning of a line
        self._outbox: list[bytes] = []
        self._is_secured = False
        self._is_deaf = False  # the peer does not read what we say
        self._is_paused = False  # what comes stays with the kernel
        self._has_peer_ended = False  # nothing more will come
        self._is_gone = False  # neither will anything be sent
        self._farewell: Reply | None = None  # to be said between two commands
        self._dismissal: Reply | None = None  # to be said as soon as input is waited for
        self._timer: asyncio.TimerHandle | None = None
        self._until = 0.0  # the loop's time by which the peer must have come forward

    def __del__(self) -> None:
        """Nothing: the stream that we are would look for what its constructor makes."""

    # What the event loop calls

    def data_received(self, data: bytes) -> None:
        """Do what can be done with what came, or keep it."""
        if self._is_listening and not self._inbox:
            self._proceed(data)
        elif self._phase is not OVER:
            self._keep(data)

    def eof_received(self) -> bool:
        """The peer says no more; it may still listen, unless TLS ended with it."""
        self._has_peer_ended = True
        if self._is_listening:
            self._await_more()
        return self._phase is not OVER and not self._is_secured

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone; a message being taken is taken all the same."""
        del error  # nobody is left to hear of it
        self._has_peer_ended = self._is_gone = True
        self._cancel_timer()
        if self._phase in (COMMANDS, CONTENT, RESPONSES):
            self._hang_up(is_talking=False)
        elif self._phase is OVER:
            self._leave()

    def pause_writing(self) -> None:
        """What we said piles up: the peer does not read it."""
        self._is_deaf = True

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._is_deaf = False
        if self._is_listening:
            self._go_on()

    # What the server calls

    def retire(self, reply: Reply) -> None:
        """Let the message under way come to its end, then say goodbye."""
        self._farewell = reply
        if self._is_listening:
            self._await_more()

    def dismiss(self, reply: Reply) -> None:
        """Say goodbye unless a message is being taken; hang up on a peer that hears nothing."""
        self._dismissal = reply
        if self._is_listening:
            self._await_more()
        elif self._phase is not ACCEPTING:
            self._link.abort()

    # What a session provides

    def _read(self, data: bytes) -> bytes:
        """Do what can be done with what came, until `_is_listening` ends; give back the rest."""
        raise NotImplementedError

    def _leave(self) -> None:
        """Hear that all is over, and the connection gone."""
        raise NotImplementedError

    # What a session calls

    @property
    def _is_listening(self) -> bool:
        """Whether anything can be done with what comes."""
        phase = self._phase
        return not self._is_deaf and (phase is COMMANDS or phase is CONTENT or phase is RESPONSES)

    def _say(self, line: bytes) -> None:
        self._outbox.append(line)

    def _flush(self) -> None:
        if not self._outbox:
            return
        if not self._link.is_closing():
            self._link.write(b"".join(self._outbox))
        self._outbox.clear()

    def _keep(self, data: bytes) -> None:
        self._inbox += data
        if self._is_listening:
            self._go_on()
        elif len(self._inbox) > _INBOX_FULL and self._phase is not SECURING:
            self._pause()

    def _go_on(self) -> None:
        """Take up what was kept, where that can be done now."""
        if self._is_listening:
            data = bytes(self._inbox)
            self._inbox.clear()
            self._proceed(data)
        else:
            self._flush()

    def _proceed(self, data: bytes) -> None:
        rest = self._read(data)
        if self._phase is OVER:
            return
        if rest:
            self._inbox += rest
        self._flush()
        if self._is_listening:
            self._await_more()

    def _await_more(self) -> None:
        """Input is waited for from here on; or this is the moment to end."""
        reply = self._dismissal or (None if self._phase is CONTENT else self._farewell)
        if reply is not None or self._has_peer_ended:
            self._end(reply)
        else:
            self._resume()

    def _pause(self) -> None:
        if not self._is_paused and not self._link.is_closing():
            self._is_paused = True
            self._link.pause_reading()

    def _resume(self) -> None:
        if self._is_paused and not self._link.is_closing():
            self._is_paused = False
            self._link.resume_reading()

    def _end(self, reply: Reply | None) -> None:
        """There will be no more input: say the last words, if any, and hang up."""
        if reply is not None:
            self._say(line_of(reply))
        self._hang_up(is_talking=self._phase is CONTENT or bool(self._inbox))

    def _hang_up(self, *, is_talking: bool) -> None:
        """Send the last words, and close so that the peer can read them.

        Closing on input that was not read would reset the connection, and what we said with it:
        where the peer is still talking, only our side is shut, and we hear it out for a while.
        """
        self._phase = OVER
        self._flush()
        self._inbox.clear()
        if self._is_gone:
            self._cancel_timer()
            self._leave()
            return
        self._set_timer(_LINGER_SECONDS, self._link.abort)
        can_linger = not self._link.is_closing() and not self._has_peer_ended
        if is_talking and can_linger and self._link.can_write_eof():
            self._link.write_eof()
            self._resume()
        else:
            self._link.close()

    def _start_timer(self) -> None:
        self._wait_until(self._idle_seconds)
        self._set_timer(self._idle_seconds, self._check_time)

    def _wait_until(self, seconds: float) -> None:
        self._until = self._event_loop.time() + seconds

    def _check_time(self) -> None:
        """Look whether the peer came forward in time: one timer for the whole session."""
        left = self._until - self._event_loop.time()
        if left > 0:
            self._set_timer(min(left, self._idle_seconds), self._check_time)
            return
        self._set_timer(self._idle_seconds, self._check_time)
        self.dismiss(_IDLE)

    def _set_timer(self, seconds: float, what: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = self._event_loop.call_later(seconds, what)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def _secure(self, context: ssl.SSLContext, limit_seconds: float) -> None:
        """Shake hands; what comes is left to TLS, so reading must be paused. Raises OSError."""
        self._wait_until(2 * limit_seconds)
        try:
            if self._link.is_closing():
                raise ConnectionAbortedError("the peer went before the handshake")
            link = await self._event_loop.start_tls(
                self._link,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=limit_seconds,
            )
            if link is None:
                raise ConnectionAbortedError("the peer went during the handshake")
        except OSError:
            self._is_gone = True  # nobody else tells us, before the handshake is done
            raise
        self._link = link
        self._is_secured = True
        self._is_paused = False


def client_of(peer: tuple[str, int] | None) -> str:
    """The IP address in a socket's peer name, as people write it; "" for a peer that has gone."""
    return peer[0].partition("%")[0].removeprefix("::ffff:") if peer else ""
