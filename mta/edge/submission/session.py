"""One client's connection: octets in, octets out, TLS, and the bounds of time and memory.

It is an aiosmtpd protocol, with aiosmtpd's place in the event loop and with none of its
per-connection costs: the tables that it would build by reflection are built once for the class,
nothing of the dialogue is logged, and the content is taken in whole pieces instead of lines.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from aiosmtpd.smtp import SMTP

from mta.model.outcome import Reply

from mta.rules.content import TOO_LARGE, BareNewlines, ContentReader

from mta.edge.submission.dialogue import Answer, Dialogue, Step, line_of
from mta.edge.submission.settings import Auth, Door, Listener, SessionLimits, Tls

_log = logging.getLogger(__name__)

_INBOX_FULL = 64 * 1024  # octets waiting to be looked at, after which we stop reading
_LINGER_SECONDS = 5.0  # for a peer to read our last words

_IDLE = Reply(421, "Nothing came for too long", 4, 2)
_NO_MEMORY = Reply(452, "Too much content is arriving now", 3, 1)
_OUR_FAULT = Reply(451, "An error here; try again later", 3, 0)
_BARE_LF = Reply(500, "Lines end with CRLF; a bare LF came", 5, 2)
_LONG_LINE = Reply(500, "The command line is too long", 5, 2)
_INJECTION = Reply(554, "Nothing may follow STARTTLS in clear", 7, 0)


@dataclass(slots=True, kw_only=True)
class Service:
    """What the sessions of one server share; what is replaced counts for new sessions."""

    door: Door
    hostname: str
    to_ascii: Callable[[str], str]
    limits: SessionLimits
    bare_newlines: BareNewlines
    tls: ssl.SSLContext | None
    held: int = 0  # octets of content that all sessions hold


class _Ended(Exception):
    """There will be no more input: the peer has gone, or is to go with `reply`."""

    def __init__(self, reply: Reply | None = None) -> None:
        super().__init__()
        self.reply = reply


class Session(SMTP):
    """Reads commands, has them answered by a Dialogue, and hands contents to the door.

    Input is read only while something waits for it, so that a client can fill no memory. While
    the door takes a message nothing is cancelled, not even by the client's going away.
    """

    def __init__(
        self,
        *,
        service: Service,
        listener: Listener,
        admit: "Callable[[Session, str], Reply | None]",
        dismissed: "Callable[[Session, str], None]",
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """`admit` says at once why a client may not stay; `dismissed` hears of each that could."""
        # Past SMTP's own constructor, whose tables cost more than a message. No StreamReader:
        # its limits are no limits (it stops reading at twice its size, and keeps what it has).
        asyncio.StreamReaderProtocol.__init__(self, None, loop=loop)  # type: ignore[arg-type]  # None is allowed for
        self._event_loop = loop
        self._service = service
        self._limits = service.limits
        self._listener = listener
        self._admit = admit
        self._dismissed = dismissed
        self._inbox = bytearray()
        self._outbox: list[bytes] = []
        self._arrival: asyncio.Future[None] | None = None  # somebody waits for input
        self._gone = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._has_long_line = False
        self._is_paused = False  # what comes stays with the kernel
        self._is_reading_content = False
        self._is_accepting = False
        self._is_securing = False
        self._is_over = False  # nothing more will be read
        self._is_interrupted = False  # … though the peer may have more to say
        self._has_peer_ended = False  # nothing more will come
        self._farewell: Reply | None = None  # to be said between two commands
        self._dismissal: Reply | None = None  # to be said as soon as input is waited for
        self._held = 0
        self._until = 0.0  # the loop's time by which the peer must have come forward

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse or greet."""
        self._link = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._client = client_of(transport.get_extra_info("peername"))
        refusal = self._admit(self, self._client)
        if refusal is not None:
            self._link.write(line_of(refusal))
            self._link.close()
            return
        self._dialogue = self._new_dialogue()
        self._wait_until(self._limits.idle_seconds)
        self._set_timer(self._limits.idle_seconds, self._check_time)
        self._task = self._event_loop.create_task(
            self._handle_client(), name=f"submission from {self._client}"
        )
        self._task.add_done_callback(lambda _: self._dismissed(self, self._client))

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

    # The dialogue

    async def _handle_client(self) -> None:
        try:
            self._say(f"220 {self._service.hostname} ESMTP mta\r\n".encode("ascii"))
            await self._converse()
        except _Ended as end:
            if end.reply is not None:
                self._say(line_of(end.reply))
        except OSError:
            pass  # the peer went, or its TLS failed: nothing is owed to it
        finally:
            self._hold(0)
            self._hang_up()
        await self._gone.wait()

    async def _converse(self) -> None:
        while not self._is_over:
            line = self._next_line()
            if line is None:
                await self._more()
                continue
            self._wait_until(self._limits.idle_seconds)
            answer = self._answer(line)
            if answer.step is Step.CONTENT:
                await self._take_content(answer)
            elif answer.step is Step.SECURE:
                await self._start_tls(answer)
            else:
                self._say(answer.line)
                self._is_over = answer.step in (Step.CUT, Step.END)
                self._is_interrupted = answer.step is Step.CUT

    def _next_line(self) -> bytes | None:
        """The next line with its LF, or None; of a line that is too long, only the end."""
        end = self._inbox.find(b"\n") + 1
        if not end:
            if len(self._inbox) > self._limits.command_length:
                self._has_long_line = True
                del self._inbox[:-1]  # the last may be the CR before an LF
            return None
        line = bytes(self._inbox[:end])
        del self._inbox[:end]
        return line

    def _answer(self, line: bytes) -> Answer:
        if not line.endswith(b"\r\n"):
            # Whoever passed this line on took it for the middle of one: what follows is not
            # to be taken for a command.
            return Answer(line_of(_BARE_LF), Step.CUT)
        if self._has_long_line or len(line) > self._limits.command_length:
            self._has_long_line = False
            return self._dialogue.error(_LONG_LINE)
        try:
            return self._dialogue.answer(line[:-2])
        except Exception:  # noqa: BLE001 - a fault of the door's must not cost the client its reply
            _log.exception("a command from %s could not be answered", self._client)
            return Answer(line_of(_OUR_FAULT))

    @property
    def _is_secured(self) -> bool:
        return self._link.get_extra_info("ssl_object") is not None

    def _new_dialogue(self) -> Dialogue:
        can_secure = self._listener.tls is Tls.STARTTLS and self._service.tls is not None
        return Dialogue(
            door=self._service.door,
            hostname=self._service.hostname,
            to_ascii=self._service.to_ascii,
            limits=self._limits,
            client=self._client,
            needs_login=self._listener.auth is Auth.REQUIRED,
            offers_tls=can_secure and not self._is_secured,
            is_secured=self._is_secured,
        )

    # The content

    async def _take_content(self, answer: Answer) -> None:
        if self._service.held >= self._limits.buffer_bytes:
            self._dialogue.reset()
            self._say(line_of(_NO_MEMORY))
            return
        self._say(answer.line)
        reader = ContentReader(
            size=self._limits.message_size,
            line_length=self._limits.line_length,
            bare_newlines=self._service.bare_newlines,
        )
        self._is_reading_content = True
        await self._read_content(reader)
        reply = reader.objection or await self._accept(reader)
        self._is_reading_content = False
        self._hold(0)
        self._dialogue.reset()
        self._say(line_of(reply))
        self._wait_until(self._limits.idle_seconds)

    async def _read_content(self, reader: ContentReader) -> None:
        """Read to the end of the content, whatever is objected; raises _Ended."""
        last_moment = self._event_loop.time() + self._limits.content_seconds
        rest = None
        while rest is None:
            if not self._inbox:
                await self._more()
            data = bytes(self._inbox)
            self._inbox.clear()
            rest = reader.feed(data)
            self._hold(reader.held)
            if self._service.held > self._limits.buffer_bytes:
                reader.refuse(_NO_MEMORY)
                self._hold(0)
            if reader.seen > self._limits.discarded_size:
                raise _Ended(reader.objection or TOO_LARGE)
            self._wait_until(min(self._limits.idle_seconds, last_moment - self._event_loop.time()))
        self._inbox += rest

    async def _accept(self, reader: ContentReader) -> Reply:
        """Hand the message over; the time that takes is the door's to bound."""
        self._is_accepting = True
        self._until = float("inf")
        try:
            return await self._service.door.accept(self._dialogue.submission(reader.take()))
        except Exception:  # noqa: BLE001 - the message is not ours then: the client must hear so
            _log.exception("a message from %s could not be taken", self._client)
            return _OUR_FAULT
        finally:
            self._is_accepting = False

    def _hold(self, octets: int) -> None:
        self._service.held += octets - self._held
        self._held = octets

    # TLS

    async def _start_tls(self, answer: Answer) -> None:
        if self._inbox:  # said in clear, to be obeyed under TLS: an injection
            raise _Ended(_INJECTION)
        self._say(answer.line)
        self._flush()
        await self._secure()
        self._dialogue = self._new_dialogue()  # what came in clear counts no more (RFC 3207 §4.2)

    async def _secure(self) -> None:
        """Shake hands. Raises OSError."""
        context = self._service.tls
        assert context is not None  # or it would not have been offered
        self._wait_until(2 * self._limits.handshake_seconds)
        self._is_securing = True
        try:
            link = await self._event_loop.start_tls(
                self._link,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=self._limits.handshake_seconds,
            )
        except OSError:
            self._gone.set()  # before the handshake is done, nobody tells us that the link is lost
            raise
        self._is_securing = False
        if link is None:
            raise ConnectionAbortedError("the peer went during the handshake")
        self._link = link

    # Octets and time

    def _say(self, line: bytes) -> None:
        self._outbox.append(line)

    def _flush(self) -> None:
        if self._outbox and not self._link.is_closing():
            self._link.write(b"".join(self._outbox))
        self._outbox.clear()

    async def _more(self) -> None:
        """Send what is to be said, then wait for input; raises _Ended where there will be none.

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
            raise _Ended(reply)

    def _resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._link.resume_reading()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _wait_until(self, seconds: float) -> None:
        self._until = self._event_loop.time() + seconds

    def _check_time(self) -> None:
        """Look whether the peer came forward in time: one timer for the whole session."""
        left = self._until - self._event_loop.time()
        if left <= 0:
            self.dismiss(_IDLE)
            left = self._limits.idle_seconds
        self._set_timer(min(left, self._limits.idle_seconds), self._check_time)

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


def client_of(peer: tuple[str, int] | None) -> str:
    """The IP address in a socket's peer name, as people write it; "" for a peer that has gone."""
    return peer[0].partition("%")[0].removeprefix("::ffff:") if peer else ""
