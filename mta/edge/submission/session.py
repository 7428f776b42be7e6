"""One client's session: its commands answered, its contents handed to the door.

A content is taken in whole pieces, however long its lines are; what all sessions hold of
contents together has a limit.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from mta.model.envelope import Submission
from mta.model.outcome import Reply

from mta.rules.submission.content import TOO_LARGE, ChunkReader, ContentReader
from mta.rules.submission.sasl import MAX_RESPONSE, Credentials

from mta.edge.submission.answers import Answer, ChunkToRead, Step, line_of
from mta.edge.submission.dialogue import Dialogue
from mta.edge.submission.entrance import Entrance
from mta.edge.submission.link import (
    ACCEPTING,
    COMMANDS,
    CONTENT,
    OVER,
    RESPONSES,
    SECURING,
    Link,
    client_of,
)

_log = logging.getLogger(__name__)

_CHUNK_TAKEN = b"250 2.0.0 Chunk taken\r\n"
_NEXT = Step.NEXT  # a bare name, as those of the phases are

_NO_MEMORY = Reply(452, "Too much content is arriving now", 3, 1)
_OUR_FAULT = Reply(451, "An error here; try again later", 3, 0)
_BARE_LF = Reply(500, "Lines end with CRLF; a bare LF came", 5, 2)
_LONG_LINE = Reply(500, "The command line is too long", 5, 2)
_LOGIN_FAULT = Reply(454, "An error here; try again later", 7, 0)
_INJECTION = Reply(554, "Nothing may follow STARTTLS in clear", 7, 0)


class Session(Link):
    """Reads commands, has them answered by a Dialogue, and hands contents to the door.

    While the door takes a message nothing is cancelled, not even by the client's going away.
    """

    _dialogue: Dialogue
    _content: ContentReader
    _task: asyncio.Task[None]
    _last_moment: float  # the loop's time by which the content must be here

    def __init__(
        self,
        entrance: Entrance,
        admit: "Callable[[Session, str], Reply | None]",
        dismissed: "Callable[[Session, str], None]",
        loop: asyncio.AbstractEventLoop,
        client: str | None = None,
    ) -> None:
        """`admit` says at once why a client may not stay; `dismissed` hears of each that could.

        `client` is who it is, where that is not said by the connection itself.
        """
        super().__init__(loop=loop, idle_seconds=entrance.terms.limits.idle_seconds)
        self._service = entrance.service
        self._entrance = entrance
        self._terms = entrance.terms
        self._limits = entrance.terms.limits
        self._admit = admit
        self._dismissed = dismissed
        self._known_client = client
        self._is_inside = False
        self._has_long_line = False
        self._has_lost_count = False  # the long line said BDAT: nobody knows where its chunk ends
        self._held = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse or greet."""
        self._link = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._is_secured = self._terms.is_secured
        known = self._known_client
        self._client = client_of(transport.get_extra_info("peername")) if known is None else known
        refusal = self._admit(self, self._client)
        if refusal is not None:
            self._phase = OVER
            self._link.write(line_of(refusal))
            self._link.close()
            return
        self._is_inside = True
        self._dialogue = Dialogue(self._terms, self._client)
        self._start_timer()
        self._link.write(self._entrance.greeting)

    def _leave(self) -> None:
        if self._is_inside:
            self._is_inside = False
            self._dismissed(self, self._client)

    def _hang_up(self, *, is_talking: bool) -> None:
        self._hold(0)
        super()._hang_up(is_talking=is_talking)

    # The dialogue

    def _read(self, data: bytes) -> bytes:
        start = 0
        while start < len(data):
            if self._phase is COMMANDS:
                end = data.find(b"\n", start) + 1
                if not end:
                    return self._begun_line(data[start:], self._limits.command_length)
                self._take_line(data[start:end], has_more=end < len(data))
                start = end
            elif self._phase is RESPONSES:
                end = data.find(b"\n", start) + 1
                if not end:
                    return self._begun_line(data[start:], MAX_RESPONSE)
                self._take_response(data[start:end], has_more=end < len(data))
                start = end
            elif self._phase is CONTENT:
                data, start = self._read_content(data[start:]), 0
            else:
                return data[start:]
        return b""

    def _begun_line(self, line: bytes, limit: int) -> bytes:
        """What is kept of a line that has not ended: of one that is too long, only the end."""
        if len(line) <= limit:
            return line
        if not self._has_long_line:
            self._has_lost_count = line[:4].upper() == b"BDAT"
        self._has_long_line = True
        return line[-1:]  # it may be the CR before an LF

    def _take_line(self, line: bytes, *, has_more: bool) -> None:
        """Answer a line with its LF; `has_more` says that something came behind it."""
        self._wait_until(self._limits.idle_seconds)
        answer = self._answer(line)
        if answer.step is _NEXT:
            self._say(answer.line)
            if self._held:
                self._await_chunk()
        elif answer.step is Step.CONTENT:
            self._begin_content(answer)
        else:
            self._obey(answer, has_more=has_more)

    def _obey(self, answer: Answer, *, has_more: bool) -> None:
        """Say an answer, and do what seldom comes after one."""
        if answer.chunk is not None:
            self._begin_chunk(answer.chunk)
        elif answer.step is Step.SECURE:
            self._begin_tls(answer, has_more=has_more)
        elif answer.step is Step.LOGIN:
            self._begin_login()
        elif answer.step is Step.LATER:
            self._answer_later(answer.line)
        elif answer.step in (Step.RESPONSE, Step.NEXT):
            self._phase = RESPONSES if answer.step is Step.RESPONSE else COMMANDS
            self._say(answer.line)
        else:
            self._say(answer.line)
            self._hang_up(is_talking=has_more or answer.step is Step.CUT)

    def _answer_later(self, line: bytes) -> None:
        """Let who makes many mistakes wait for each answer; what comes meanwhile is kept."""
        self._phase = ACCEPTING
        self._until = float("inf")
        self._event_loop.call_later(self._limits.error_delay_seconds, self._answer_now, line)

    def _answer_now(self, line: bytes) -> None:
        self._phase = COMMANDS
        self._wait_until(self._limits.idle_seconds)
        self._say(line)
        if self._held:
            self._await_chunk()
        self._go_on()

    def _answer(self, line: bytes) -> Answer:
        if not line.endswith(b"\r\n"):
            # Whoever passed this line on took it for the middle of one: what follows is not
            # to be taken for a command.
            return Answer(line_of(_BARE_LF), Step.CUT)
        if self._has_long_line or len(line) > self._limits.command_length:
            if self._has_lost_count or line[:4].upper() == b"BDAT":
                return Answer(line_of(_LONG_LINE), Step.CUT)
            self._has_long_line = False
            return self._dialogue.error(_LONG_LINE)
        try:
            return self._dialogue.answer(line[:-2])
        except Exception:  # noqa: BLE001 - a fault of the door's must not cost the client its reply
            _log.exception("a command from %s could not be answered", self._client)
            return Answer(line_of(_OUR_FAULT))

    # The content

    def _begin_content(self, answer: Answer) -> None:
        if self._service.held >= self._limits.buffer_bytes:
            self._dialogue.reset()
            self._say(line_of(_NO_MEMORY))
            return
        self._say(answer.line)
        self._phase = CONTENT
        self._last_moment = self._event_loop.time() + self._limits.content_seconds
        self._content = ContentReader(
            size=self._limits.message_size,
            line_length=self._limits.line_length,
            bare_newlines=self._service.bare_newlines,
        )

    def _begin_chunk(self, chunk: ChunkToRead) -> None:
        if chunk.is_first:
            self._last_moment = self._event_loop.time() + self._limits.content_seconds
            self._content = ChunkReader(
                size=self._limits.message_size,
                line_length=self._limits.line_length,
                bare_newlines=self._service.bare_newlines,
            )
        reader = cast("ChunkReader", self._content)
        if reader.seen + chunk.octets > self._limits.discarded_size:
            self._say(line_of(TOO_LARGE))
            self._hang_up(is_talking=True)
            return
        if chunk.objection is not None:
            reader.refuse(chunk.objection)
        elif self._service.held >= self._limits.buffer_bytes:
            reader.refuse(_NO_MEMORY)
        reader.begin(chunk.octets, is_last=chunk.is_last)
        self._phase = CONTENT
        if not chunk.octets:  # there is nothing to wait for
            self._read_content(b"")

    def _await_chunk(self) -> None:
        """Between two chunks: keep what came, unless the transaction has been given up."""
        if not self._dialogue.has_chunks:
            del self._content
            self._hold(0)
            return
        self._wait_for_content()

    def _wait_for_content(self) -> None:
        left = self._last_moment - self._event_loop.time()
        self._wait_until(min(self._limits.idle_seconds, left))

    def _read_content(self, data: bytes) -> bytes:
        """Read on, to the end of the content or chunk whatever is objected; give back the rest."""
        reader = self._content
        rest = reader.feed(data)
        self._hold(reader.held)
        if self._service.held > self._limits.buffer_bytes:
            reader.refuse(_NO_MEMORY)
            self._hold(0)
        if reader.seen > self._limits.discarded_size:
            self._end(reader.objection or TOO_LARGE)
            return b""
        self._wait_for_content()
        if rest is None:
            return b""
        if reader.objection is not None:
            self._answer_content(reader.objection)
        elif not reader.is_whole:
            self._phase = COMMANDS
            self._say(_CHUNK_TAKEN)
        else:
            self._hand_over(self._dialogue.submission(reader.take()))
        return rest

    def _hand_over(self, submission: Submission) -> None:
        """Have the message taken; the time that takes is the door's to bound."""
        self._phase = ACCEPTING
        self._until = float("inf")
        self._task = self._event_loop.create_task(
            self._accept(submission), name=f"submission from {self._client}"
        )

    async def _accept(self, submission: Submission) -> None:
        try:
            reply = await self._service.door.accept(submission)
        except asyncio.CancelledError:
            self._hang_up(is_talking=False)
            raise
        except Exception:  # noqa: BLE001 - the message is not ours then: the client must hear so
            _log.exception("a message from %s could not be taken", self._client)
            reply = _OUR_FAULT
        self._answer_content(reply)
        self._go_on()

    def _answer_content(self, reply: Reply) -> None:
        self._phase = COMMANDS
        self._hold(0)
        self._dialogue.reset()
        self._say(line_of(reply))
        self._wait_until(self._limits.idle_seconds)

    def _hold(self, octets: int) -> None:
        self._service.held += octets - self._held
        self._held = octets

    # Logins

    def _take_response(self, line: bytes, *, has_more: bool) -> None:
        """Go on with AUTH by a line with its LF."""
        self._wait_until(self._limits.idle_seconds)
        is_long = self._has_long_line or len(line) > MAX_RESPONSE
        self._has_long_line = False
        if not line.endswith(b"\r\n"):
            answer = Answer(line_of(_BARE_LF), Step.CUT)
        else:
            answer = self._dialogue.hear(None if is_long else line[:-2])
        self._obey(answer, has_more=has_more)

    def _begin_login(self) -> None:
        """Have a login looked at, however long that takes; what comes meanwhile is kept."""
        self._phase = ACCEPTING
        self._until = float("inf")
        self._task = self._event_loop.create_task(
            self._log_in(self._dialogue.take_credentials()), name=f"login from {self._client}"
        )

    async def _log_in(self, claim: Credentials) -> None:
        assert self._service.logins is not None  # or it would not have been offered
        try:
            found = await self._service.logins.user_by_password(
                claim.name, claim.password, self._client
            )
        except asyncio.CancelledError:
            self._hang_up(is_talking=False)
            raise
        except Exception:  # noqa: BLE001 - the client may try again, and must hear so
            _log.exception("a login from %s could not be looked at", self._client)
            answer = Answer(line_of(_LOGIN_FAULT))
        else:
            answer = self._dialogue.conclude_login(found)
        self._phase = COMMANDS
        self._wait_until(self._limits.idle_seconds)
        self._obey(answer, has_more=bool(self._inbox))
        self._go_on()

    # TLS

    def _begin_tls(self, answer: Answer, *, has_more: bool) -> None:
        if has_more:  # said in clear, to be obeyed under TLS: an injection
            self._say(line_of(_INJECTION))
            self._hang_up(is_talking=True)
            return
        self._say(answer.line)
        self._flush()
        self._phase = SECURING
        self._pause()  # what comes now is not for us
        self._task = self._event_loop.create_task(
            self._start_tls(), name=f"handshake with {self._client}"
        )

    async def _start_tls(self) -> None:
        assert self._service.tls is not None  # or it would not have been offered
        try:
            await self._secure(self._service.tls, self._limits.handshake_seconds)
        except OSError:
            pass  # the peer went, or its TLS failed: nothing is owed to it
        finally:
            if not self._is_secured:
                self._hang_up(is_talking=False)
        if self._is_secured:
            # What came in clear counts no more (RFC 3207 §4.2).
            self._terms = replace(self._terms, is_secured=True, offers_tls=False)
            self._dialogue = Dialogue(self._terms, self._client)
            self._phase = COMMANDS
            self._go_on()
