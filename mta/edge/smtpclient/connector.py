"""Opening a session: connect, greet, secure, log in."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiosmtplib.auth import auth_login_encode, auth_plain_encode

from mta.model.domain import Host, TlsDemand, TlsFailure, TlsLevel
from mta.model.outcome import Outcome, Stage, broken
from mta.model.source import Source

from mta.edge.smtpclient.conversation import Conversation, Refused, Timeouts
from mta.edge.smtpclient.offers import NO_OFFERS, offers_in
from mta.edge.smtpclient.origins import Origins
from mta.edge.smtpclient.replies import RawReply
from mta.edge.smtpclient.safety import ChainCheck, Safety
from mta.edge.smtpclient.session import SmtpSession
from mta.edge.smtpclient.wire import ConversationError, Wire

DEFAULT_TIMEOUTS = Timeouts()
_NO_STARTTLS = TlsFailure.STARTTLS_NOT_SUPPORTED


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are to a smarthost. In clear the password goes only where `allow_plaintext`."""

    username: str
    password: str = field(repr=False)
    allow_plaintext: bool = False


class SmtpConnector:
    """Opens SMTP sessions, or `is_lmtp`. `hostname` is what we call ourselves in EHLO or LHLO.

    Connections come from one of `sources`, under its name; without any, from wherever the system
    has them come from.

    `ca_file` and `chain_check` are those of `Safety`. Raises OSError where the file cannot be read.
    """

    def __init__(
        self,
        *,
        hostname: str,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        login: Login | None = None,
        is_lmtp: bool = False,
        sources: Sequence[Source] = (),
        ca_file: Path | None = None,
        chain_check: ChainCheck | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._hostname = hostname
        self._timeouts = timeouts
        self._login = login
        self._is_lmtp = is_lmtp
        self._origins = Origins(sources)
        self._safety = Safety(ca_file=ca_file, chain_check=chain_check, clock=clock)

    async def open(self, host: Host, demand: TlsDemand) -> SmtpSession | Outcome:
        """Connect, greet, secure; the outcome is the reason why it could not be had.

        Never raises for anything that the peer does.
        """
        is_resuming = self._safety.is_resuming(host, demand)
        reached = await self._open(host, demand)
        if is_resuming and isinstance(reached, Outcome) and reached.stage is Stage.TLS:
            self._safety.forget(host, demand)  # the old session may be what it stumbled over
            return await self._open(host, demand)
        return reached

    async def _open(self, host: Host, demand: TlsDemand) -> SmtpSession | Outcome:
        limit = self._timeouts.connect
        if host.has_more:
            limit = min(limit, self._timeouts.haste)
        try:
            async with asyncio.timeout(limit):
                wire, hostname = await self._connect(host, 0 if demand.is_implicit else 1)
        except TimeoutError:
            text = f"no connection within {limit:.3g} seconds"
            return broken(Stage.CONNECT, host, text, detail=1)
        except OSError as error:
            return broken(Stage.CONNECT, host, _connect_reason(error), detail=1)
        conversation = Conversation(
            wire, host, self._timeouts, Stage.CONNECT, clock=self._clock, is_lmtp=self._is_lmtp
        )
        try:
            await _Opening(conversation, hostname, self._login, self._safety).open(demand)
        except Refused as refused:
            outcome = refused.outcome
        except ConversationError as error:
            outcome = conversation.breakdown(error)
        except BaseException:
            wire.abort()
            raise
        else:
            return SmtpSession(conversation)
        await wire.hang_up(self._timeouts.quit)
        return outcome

    async def _connect(self, host: Host, replies: int) -> tuple[Wire, str]:
        """A connection, and our name on it. Raises OSError."""
        loop = asyncio.get_running_loop()
        if not host.port:  # a socket of this machine
            _, wire = await loop.create_unix_connection(lambda: Wire(replies), host.name)
            return wire, self._hostname
        if not self._origins:
            _, wire = await loop.create_connection(lambda: Wire(replies), host.address, host.port)
            return wire, self._hostname
        sock, source = self._origins.socket_to(host)
        try:
            await loop.sock_connect(sock, (host.address, host.port))
            _, wire = await loop.create_connection(lambda: Wire(replies), sock=sock)
        except BaseException:
            sock.close()
            raise
        return wire, source.hostname or self._hostname


class _Opening:
    """The steps from a connection to a session. They raise Refused and ConversationError."""

    def __init__(
        self,
        conversation: Conversation,
        hostname: str,
        login: Login | None,
        safety: Safety,
    ) -> None:
        self._talk = conversation
        self._hostname = hostname.encode()
        self._login = login
        self._safety = safety

    async def open(self, demand: TlsDemand) -> None:
        if demand.is_implicit:
            await self._secure(demand, replies=1)  # the greeting comes after the handshake
        await self._greet()
        await self._say_hello()
        if not demand.is_implicit and await self._is_tls_agreed(demand.level):
            await self._secure(demand, replies=0)
            await self._say_hello_again()
        if self._talk.tls is not None:
            self._safety.keep(self._talk.wire, self._talk.host, demand)
        if self._login is not None:
            await self._log_in(self._login)

    async def _greet(self) -> None:
        self._talk.stage = Stage.GREETING
        reply = await self._talk.wire.reply(self._talk.timeouts.greeting)
        if not reply.is_positive:
            raise Refused(self._talk.refusal(reply))

    async def _say_hello(self) -> None:
        """EHLO, or HELO to a peer that does not know it (RFC 5321 §3.2); LHLO to one of LMTP."""
        self._talk.stage = Stage.HELLO
        self._talk.offers = NO_OFFERS
        limit = self._talk.timeouts.hello
        verb = b"LHLO " if self._talk.is_lmtp else b"EHLO "
        reply = await self._talk.ask(verb + self._hostname + b"\r\n", limit)
        if reply.is_positive:
            self._talk.offers = offers_in(reply)
            return
        refusal = self._talk.refusal(reply)
        if reply.code < 500 or self._talk.is_lmtp:
            raise Refused(refusal)
        try:
            reply = await self._talk.ask(b"HELO " + self._hostname + b"\r\n", limit)
        except ConversationError:  # it has said what it had to say, and closed
            raise Refused(refusal) from None
        if not reply.is_positive:
            raise Refused(self._talk.refusal(reply))

    async def _say_hello_again(self) -> None:
        """What was offered in clear counts no more once the talk is safe (RFC 3207 §4.2)."""
        try:
            await self._say_hello()
        except ConversationError:
            # In TLS 1.3 a server may refuse the handshake after our half of it is done.
            self._talk.stage = Stage.TLS
            raise

    async def _is_tls_agreed(self, level: TlsLevel) -> bool:
        """Ask for TLS where it is wanted; False where the conversation goes on in clear."""
        if level is TlsLevel.NONE:
            return False
        self._talk.stage = Stage.TLS
        if self._talk.offers.has_starttls:
            reply = await self._talk.ask(b"STARTTLS\r\n", self._talk.timeouts.hello)
            if not reply.is_positive:
                refusal = replace(self._talk.refusal(reply), tls_failure=_NO_STARTTLS)
                raise Refused(refusal)
            return True
        if level is not TlsLevel.OPPORTUNISTIC:
            text = "TLS is required, and the host does not offer STARTTLS"
            raise self._objection(text, 5, _NO_STARTTLS)
        return False

    async def _secure(self, demand: TlsDemand, *, replies: int) -> None:
        self._talk.stage = Stage.TLS
        limit = self._talk.timeouts.handshake
        self._talk.tls = await self._safety.secure(
            self._talk.wire, self._talk.host, demand, limit, replies=replies
        )

    async def _log_in(self, login: Login) -> None:
        """AUTH PLAIN or LOGIN, as offered (RFC 4954)."""
        self._talk.stage = Stage.LOGIN
        if self._talk.tls is None and not login.allow_plaintext:
            raise self._objection(
                "not logging in: the connection is in clear and would show the password; "
                "use TLS, or allow a login in clear",
                11,
            )
        methods = self._talk.offers.login_methods
        if "plain" in methods:
            reply = await self._say_plain(login)
        elif "login" in methods:
            reply = await self._say_login(login)
        else:
            raise self._objection("not logging in: the host offers neither PLAIN nor LOGIN", 4)
        if not reply.is_positive:
            raise Refused(self._talk.refusal(reply))

    async def _say_plain(self, login: Login) -> RawReply:
        secret = auth_plain_encode(login.username, login.password)
        return await self._talk.ask(b"AUTH PLAIN " + secret + b"\r\n", self._talk.timeouts.hello)

    async def _say_login(self, login: Login) -> RawReply:
        username, password = auth_login_encode(login.username, login.password)
        reply = await self._talk.ask(b"AUTH LOGIN\r\n", self._talk.timeouts.hello)
        for answer in (username, password):
            if reply.is_go_ahead:
                reply = await self._talk.ask(answer + b"\r\n", self._talk.timeouts.hello)
        return reply

    def _objection(self, text: str, detail: int, failure: TlsFailure | None = None) -> Refused:
        """Our own refusal to go on: 4.7.x, security (RFC 3463 §3.8)."""
        talk = self._talk
        outcome = broken(talk.stage, talk.host, text, subject=7, detail=detail, tls=talk.tls)
        return Refused(replace(outcome, tls_failure=failure))


def _connect_reason(error: OSError) -> str:
    # asyncio words its own text, with the address that stands in the outcome already.
    if error.errno is None or error.errno < 0:
        return str(error)
    return os.strerror(error.errno)
