"""A connection on which several commands may be under way, and every reply finds its own.

aiosmtplib's protocol knows one command and one reply at a time, and throws away what comes in
between. This one counts the replies that the peer owes: a reply is paired with its command by
its place alone, and a peer that says more than it was asked is out of step for good.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, cast

from aiosmtplib.errors import SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol

from mta.model.domain import TlsFailure

from mta.edge.smtpclient.replies import MalformedReply, RawReply, ReplyReader, legible
from mta.edge.smtpclient.watch import Watch

# A peer may say so much between two commands of ours: room for any EHLO, and for a long-winded
# answer to each recipient. It bounds a line, a reply and all replies of a group at once.
MAX_OCTETS = 32 * 1024
MAX_OCTETS_FOR_EACH_REPLY = 1024


# What OpenSSL says of a certificate: X509_V_ERR_CERT_NOT_YET_VALID and the like.
_BY_CODE = {
    9: TlsFailure.CERTIFICATE_EXPIRED,
    10: TlsFailure.CERTIFICATE_EXPIRED,
    62: TlsFailure.CERTIFICATE_HOST_MISMATCH,  # for a name
    64: TlsFailure.CERTIFICATE_HOST_MISMATCH,  # for an IP address
}
_DER = 2  # _ssl.ENCODING_DER

_Trouble = tuple[str, int, int, TlsFailure | None]


class ConversationError(Exception):
    """The peer can no longer be talked with; the message says why, in words for people.

    `subject` and `detail` make the status (RFC 3463 §3): 4.2 bad connection, 5.0 protocol.
    `failure` is set where it was TLS that failed.
    """

    def __init__(
        self, text: str, subject: int = 4, detail: int = 2, failure: TlsFailure | None = None
    ) -> None:
        super().__init__(text)
        self.subject = subject
        self.detail = detail
        self.failure = failure


class Wire(SMTPProtocol):
    """One connection. After its first trouble it is silent: the trouble is told, again and again.

    `replies` is how many the peer owes from the start: one, its greeting, unless TLS is to come
    first.
    """

    def __init__(self, replies: int) -> None:
        super().__init__(asyncio.get_running_loop())
        self._watch = Watch(self._loop, self.end)
        self._trouble: _Trouble | None = None  # what a ConversationError is made of
        self._reader = ReplyReader()
        self._replies: deque[RawReply] = deque()
        self._owed = 0
        self._allowance = 0
        self._limits: Sequence[float] = ()  # of the replies that are waited for together
        self._change: asyncio.Future[None] | None = None
        self.expect(replies)

    @property
    def is_in_step(self) -> bool:
        """Whether a command may be given: connected, and nothing owed or left over."""
        return self._trouble is None and not self._owed and not self._replies and self.is_connected

    @property
    def has_spoken(self) -> bool:
        """Whether a reply can be had without waiting."""
        return bool(self._replies)

    def end(
        self, text: str, subject: int = 4, detail: int = 2, failure: TlsFailure | None = None
    ) -> ConversationError:
        """Say and hear no more, for this reason or one that came before it; gives that reason."""
        if self._trouble is None:
            self._trouble = (text, subject, detail, failure)
        self._wake()
        return ConversationError(*self._trouble)

    def abort(self) -> None:
        """Close at once, without waiting for what is still to be written."""
        self.end("the connection was closed by us")
        if self.transport is not None:
            cast(asyncio.WriteTransport, self.transport).abort()

    # Speaking

    def expect(self, replies: int) -> None:
        """From now on the peer owes so many replies more."""
        self._owed += replies
        self._allowance = MAX_OCTETS + MAX_OCTETS_FOR_EACH_REPLY * self._owed

    def say(self, commands: bytes, replies: int = 1) -> None:
        """Write whole command lines, answered by so many replies. Raises ConversationError."""
        self.expect(replies)
        self.put(commands)

    def put(self, data: bytes | memoryview) -> None:
        """Write, at once or never: nothing is written where ConversationError is raised."""
        if self._trouble is not None:
            raise ConversationError(*self._trouble)
        try:
            self.write(cast(bytes, data))  # a transport takes any buffer
        except SMTPServerDisconnected:
            raise self.end("the connection is closed") from None

    def bound(self, limit: float) -> None:
        """All waits from now on have `limit` seconds together; inf takes that back."""
        self._watch.bound(limit)

    async def drained(self, limit: float) -> None:
        """As `room`, until the kernel has all that was written."""
        transport = cast(asyncio.WriteTransport, self.transport)
        transport.set_write_buffer_limits(1)  # at 0 a TLS transport is full when it is empty
        try:
            await self.room(limit)
        finally:
            transport.set_write_buffer_limits()

    async def room(self, limit: float) -> None:
        """Wait until more can be written, or the peer has spoken, for at most `limit` seconds.

        Raises ConversationError when neither can happen any more.
        """
        if self._paused:
            self._watch.start(limit, "took nothing")
            try:
                while self._paused and not self._replies and self._trouble is None:
                    await self._next_change()
            finally:
                self._watch.stop()
        if self._trouble is not None and not self._replies:
            raise ConversationError(*self._trouble)

    # Hearing

    async def gather(self, limits: Sequence[float]) -> None:
        """Wait for so many replies together, where none is there yet; as a rule for one moment.

        Each is bounded by its own limit, from the reply before it. The wait ends early with a
        reply that is not positive, since it may be the last; and with trouble, which is told
        to whoever takes the first reply that is missing.
        """
        if self._trouble is not None:
            return
        self._limits = limits
        self._watch.start(limits[0], "gave no reply")
        try:
            while len(self._replies) < len(self._limits) and self._trouble is None:
                await self._next_change()
        finally:
            self._limits = ()
            self._watch.stop()

    async def reply(self, limit: float) -> RawReply:
        """The next reply, in the order of the commands; whole within `limit` seconds.

        Raises ConversationError.
        """
        if not self._replies:
            await self.gather((limit,))
        return self._next_reply()

    async def last_word(self, limit: float) -> RawReply:
        """As `reply`, but cancellation does not end the wait: it is absorbed.

        Who is cancelled here gets the reply all the same, and finds the cancellation in
        `asyncio.Task.cancelling`.
        """
        if not self._replies and self._trouble is None:
            self._watch.start(limit, "gave no reply")
            while not self._replies and self._trouble is None:
                with suppress(asyncio.CancelledError):
                    await self._next_change()
            self._watch.stop()
        return self._next_reply()

    def has_heard_envelope(self, replies: int) -> bool:
        """Take so many replies at once, if all have come: a 354 behind nothing but 2yz.

        None is taken where it is not so.
        """
        heard = self._replies
        if len(heard) != replies or not heard[-1].is_go_ahead:
            return False
        if sum([reply.is_positive for reply in heard]) != replies - 1:
            return False
        heard.clear()
        return True

    def _next_reply(self) -> RawReply:
        if not self._replies:
            assert self._trouble is not None, "a wait ends with a reply or with trouble"
            raise ConversationError(*self._trouble)
        return self._replies.popleft()

    async def _next_change(self) -> None:
        """Wait until something has happened that somebody may wait for."""
        self._change = self._loop.create_future()
        try:
            await self._change
        finally:
            self._change = None

    def _wake(self) -> None:
        if self._change is not None and not self._change.done():
            self._change.set_result(None)

    # Securing

    async def secure(
        self, context: ssl.SSLContext, name: str, limit: float, *, replies: int = 0
    ) -> tuple[str, str]:
        """Put TLS on the connection; gives its version and cipher.

        `replies` is how many the peer owes once it is safe. Bytes that came in clear beyond the
        last reply are an injection (RFC 3207 §6, CVE-2011-0411) and end it. Raises
        ConversationError.
        """
        if not self.is_in_step:
            trouble = self.end("the connection is not fit for a handshake")
            raise ConversationError(f"no handshake: {trouble}", 7, 5)
        clear = cast(asyncio.WriteTransport, self.transport)
        self.expect(replies)  # before the handshake: a greeting may come together with its end
        try:
            safe = await self._loop.start_tls(
                clear, self, context, server_hostname=name, ssl_handshake_timeout=limit
            )
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; odd names ValueErrors
            self._closed()  # the connection is, but in a handshake nobody tells us
            text = f"TLS handshake failed: {_reason(error)}"
            raise self.end(text, 7, 5, _failure(error)) from None
        assert safe is not None
        self.transport = safe
        cipher = self.ssl_object.cipher()
        return self.ssl_object.version() or "", cipher[0] if cipher else ""

    @property
    def ssl_object(self) -> ssl.SSLObject:
        """What is known of the TLS that was put on the connection."""
        assert self.transport is not None
        return cast(ssl.SSLObject, self.transport.get_extra_info("ssl_object"))

    def certificates(self) -> list[bytes]:
        """What the peer showed in the handshake, in DER and its own first; none of it is checked.

        OpenSSL takes no more than 100 KiB of them.
        """
        safe = self.ssl_object
        # Python 3.13 has a name for it; before, it is there all the same.
        chain = getattr(safe, "get_unverified_chain", None) or _hidden_chain(safe)
        return [one if isinstance(one, bytes) else one.public_bytes(_DER) for one in chain() or ()]

    # Ending

    async def hang_up(self, limit: float) -> None:
        """Say QUIT if we are in step, wait for its reply up to `limit` seconds, and close."""
        try:
            if self.is_in_step:
                self.say(b"QUIT\r\n")
                await self.reply(limit)
        except ConversationError:
            pass  # all that QUIT could bring is a goodbye
        finally:
            self.abort()
        if not self._closed_future.done():
            self._watch.start(limit, "did not let go")
            while self._watch.is_on:
                await self._next_change()

    # What the transport tells

    def data_received(self, data: bytes) -> None:
        if self._trouble is not None:
            return  # nothing that follows can be paired with a command
        self._allowance -= len(data)
        if self._allowance < 0:
            self.end("the peer's reply has no end", 5, 0)
        else:
            self._take_replies(data)

    def _take_replies(self, data: bytes) -> None:
        before = len(self._replies)
        try:
            self._reader.read(data, self._replies, before + self._owed)
        except MalformedReply as error:
            self.end(str(error), 5, 0)
        came = len(self._replies) - before
        self._owed -= came
        if not self._owed and self._trouble is None and (surplus := self._reader.rest):
            self.end(f"the peer spoke unasked: {legible(surplus[:80])}", 5, 0)
        if came:
            self._notice(before)

    def _notice(self, before: int) -> None:
        """Wake who waits for the replies behind so many; or, while more must come, time the next.

        Who waits for one reply alone is woken by any.
        """
        missing = len(self._limits) - len(self._replies)
        came = islice(self._replies, before, None)
        if missing > 0 and all(reply.is_positive for reply in came):
            self._watch.start(self._limits[-missing], "gave no reply")
        else:
            self._limits = ()
            self._wake()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._wake()

    def eof_received(self) -> bool:
        self.end("the peer closed the connection")
        return False  # the transport closes itself

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.end("the connection was lost" + (f": {_reason(exc)}" if exc else ""))
        self._closed()

    def _closed(self) -> None:
        self._watch.close()
        if not self._closed_future.done():
            self._closed_future.set_result(None)


def _hidden_chain(safe: ssl.SSLObject) -> Callable[[], list[Any] | None]:
    return safe._sslobj.get_unverified_chain  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001


def _failure(error: Exception) -> TlsFailure:
    """What went wrong in a handshake, in the words of RFC 8460 §4.3."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return TlsFailure.VALIDATION_FAILURE
    return _BY_CODE.get(error.verify_code, TlsFailure.CERTIFICATE_NOT_TRUSTED)


def _reason(error: Exception) -> str:
    """Why, in the words of whoever knows best."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return str(error) or type(error).__name__
