"""One client's session: its commands answered, its contents handed to the door.

A content is taken in whole pieces, however long its lines are; what all sessions hold of
contents together has a limit.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from mta.model.listener import Auth, Listener, TlsStart
from mta.model.outcome import Reply

from mta.rules.content import TOO_LARGE, BareNewlines, ContentReader

from mta.edge.submission.dialogue import Answer, Dialogue, Step, line_of
from mta.edge.submission.link import Ended, Link, client_of
from mta.edge.submission.settings import Door, SessionLimits

_log = logging.getLogger(__name__)

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


class Session(Link):
    """Reads commands, has them answered by a Dialogue, and hands contents to the door.

    While the door takes a message nothing is cancelled, not even by the client's going away.
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
        super().__init__(loop=loop, idle_seconds=service.limits.idle_seconds)
        self._service = service
        self._limits = service.limits
        self._listener = listener
        self._admit = admit
        self._dismissed = dismissed
        self._has_long_line = False
        self._held = 0

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
        self._start_timer()
        self._task = self._event_loop.create_task(
            self._handle_client(), name=f"submission from {self._client}"
        )
        self._task.add_done_callback(lambda _: self._dismissed(self, self._client))

    # The dialogue

    async def _handle_client(self) -> None:
        try:
            self._say(f"220 {self._service.hostname} ESMTP mta\r\n".encode("ascii"))
            await self._converse()
        except Ended as end:
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

    def _new_dialogue(self) -> Dialogue:
        can_secure = self._listener.tls is TlsStart.STARTTLS and self._service.tls is not None
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
        """Read to the end of the content, whatever is objected; raises Ended."""
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
                raise Ended(reader.objection or TOO_LARGE)
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
            raise Ended(_INJECTION)
        self._say(answer.line)
        self._flush()
        assert self._service.tls is not None  # or it would not have been offered
        await self._secure(self._service.tls, self._limits.handshake_seconds)
        self._dialogue = self._new_dialogue()  # what came in clear counts no more (RFC 3207 §4.2)
