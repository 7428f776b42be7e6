"""Mail exchangers on loopback: real SMTP servers, each with manners of its own."""

import asyncio
import json
import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import AnyStr

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

MAX_SIZE = 64 * 1024 * 1024  # octets; more than anything that a test sends

# A TLS record of one alert: fatal, handshake_failure (RFC 8446 §6).
HANDSHAKE_FAILURE = b"\x15\x03\x03\x00\x02\x02\x28"

# aiosmtpd warns of a deprecated attribute that it sets itself at each login.
logging.getLogger("mail.log").setLevel(logging.ERROR)


class Starttls(StrEnum):
    """What an exchanger makes of STARTTLS."""

    WORKS = "works"
    ABSENT = "absent"
    BROKEN = "broken"  # offered, and then the handshake fails


@dataclass(frozen=True, slots=True)
class Manners:
    """How an exchanger behaves; one of which nothing is said takes everything at once.

    `greeting`, `at_sender` and `at_recipient` are replies, as in "450 4.2.0 Try later", that
    stand where a kind one would. `unknown` are local parts that have no mailbox. A stranger,
    that is a pair of sender and recipient, is put off `puts_off` times. `hangs_up` is how many
    times the connection is closed after the final dot, without a reply and without keeping the
    message. `delay` is in seconds, before each reply. `logins` are names and passwords, one of
    which must be given where there are any.
    """

    starttls: Starttls = Starttls.WORKS
    greeting: str | None = None
    at_sender: str | None = None
    at_recipient: str | None = None
    unknown: frozenset[str] = frozenset()
    puts_off: int = 0
    hangs_up: int = 0
    delay: float = 0.0
    logins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Received:
    """A message that an exchanger took: its envelope, how it came, and its bytes as they came.

    `sender` is "" for the null sender; `tls` is the version, as in "TLSv1.3", None in clear;
    `login` is the name that the client gave, None without one; `at` is in Unix seconds.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    helo: str
    tls: str | None
    login: str | None
    at: float


class Exchanger:
    """A mail exchanger: keeps what it takes in `mail` and, where it has a folder, as files there.

    A file NNN.eml holds a message's bytes exactly as they came, NNN.json its envelope. The
    folder is made with the first message. `tls` is needed for all but Starttls.ABSENT.
    """

    def __init__(
        self,
        name: str,
        manners: Manners,
        *,
        tls: ssl.SSLContext | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.manners = manners
        self.mail: list[Received] = []
        self.connections = 0
        self.hang_ups_left = manners.hangs_up
        self._tls = tls if manners.starttls is not Starttls.ABSENT else None
        self._folder = folder
        self._kept = len(list(folder.glob("*.eml"))) if folder is not None else 0
        self._strangers: Counter[tuple[str | None, str]] = Counter()
        self._news = asyncio.Condition()
        self._protocols: list[_Protocol] = []
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Answer on a socket that is bound already; it is closed with the exchanger."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._new_protocol, sock=listener)

    async def close(self) -> None:
        """Stop listening, and break the connections that are left."""
        if self._server is not None:
            self._server.close()
        for protocol in self._protocols:
            await protocol.abort()
        if self._server is not None:
            await self._server.wait_closed()

    async def until(self, count: int) -> list[Received]:
        """Wait until `count` messages have come; gives all that have. Bound the wait yourself."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.mail) >= count)
            return list(self.mail)

    async def keep(self, received: Received) -> None:
        """Take a message: on disk first, then in memory for those who wait."""
        if self._folder is not None:
            self._kept += 1
            _write(self._folder, self._kept, received)
        async with self._news:
            self.mail.append(received)
            self._news.notify_all()

    def is_put_off(self, sender: str | None, recipient: str) -> bool:
        """Whether this pair is a stranger still; each question counts as a visit."""
        self._strangers[sender, recipient] += 1
        return self._strangers[sender, recipient] <= self.manners.puts_off

    def _new_protocol(self) -> "_Protocol":
        self.connections += 1
        self._protocols = [known for known in self._protocols if known.is_open]
        protocol = _Protocol(self, self._tls)
        self._protocols.append(protocol)
        return protocol


class _Protocol(SMTP):
    """One connection. What aiosmtpd decides by hooks is in _Hooks; here is what it does not."""

    line_length_limit = 1024 * 1024  # takes what others send, however long its lines are

    def __init__(self, exchanger: Exchanger, tls: ssl.SSLContext | None) -> None:
        manners = exchanger.manners
        super().__init__(
            _Hooks(exchanger),
            data_size_limit=MAX_SIZE,
            enable_SMTPUTF8=True,
            hostname=exchanger.name,
            ident="ESMTP mta sandbox",
            tls_context=tls,
            auth_required=bool(manners.logins),
            authenticator=_gatekeeper(manners.logins),
            loop=asyncio.get_running_loop(),
        )
        self._manners = manners

    @property
    def is_open(self) -> bool:
        return self.transport is not None

    def secured(self) -> ssl.SSLObject | None:
        """The TLS that protects the connection, None in clear."""
        found: ssl.SSLObject | None = self._writer.get_extra_info("ssl_object")
        return found

    async def abort(self) -> None:
        """Break the connection, and wait until nobody works on it."""
        if self.transport is not None:
            # Python 3.11.2, Debian's, cannot break TLS that was closed twice: it is broken then.
            with suppress(AttributeError):
                self._writer.transport.abort()
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()
            await asyncio.wait([self._handler_coroutine])

    async def hang_up(self) -> None:
        """Close without another word; the loss of the connection then ends this wait."""
        self._writer.close()
        await asyncio.Event().wait()

    async def push(self, status: AnyStr) -> None:
        """Send a reply, or one line of it: only the last one has no hyphen after its code."""
        if self._manners.delay and status[3:4] not in ("-", b"-"):
            await asyncio.sleep(self._manners.delay)
        await super().push(status)

    async def _handle_client(self) -> None:
        if self._manners.greeting is not None:
            await self.push(self._manners.greeting)
            await self.hang_up()
        await super()._handle_client()

    async def smtp_STARTTLS(self, argument: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        if self._manners.starttls is not Starttls.BROKEN:
            await super().smtp_STARTTLS(argument)
            return
        await self.push("220 2.0.0 Go ahead")
        await self._reader.read(1)  # the client's hello has begun: it believes us
        self._writer.write(HANDSHAKE_FAILURE)
        await self.hang_up()


class _Hooks:
    """aiosmtpd's handler: the replies that an exchanger's manners ask for."""

    def __init__(self, exchanger: Exchanger) -> None:
        self._exchanger = exchanger
        self._manners = exchanger.manners

    async def handle_EHLO(  # noqa: N802 - aiosmtpd finds hooks by this name
        self,
        server: _Protocol,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: Sequence[str],
    ) -> list[str]:
        session.host_name = hostname
        offered = [
            line
            for line in responses
            if self._manners.logins or not line.startswith("250-AUTH")  # it always has some
        ]
        return [*offered[:-1], "250-PIPELINING", "250 ENHANCEDSTATUSCODES"]

    async def handle_MAIL(  # noqa: N802
        self,
        server: _Protocol,
        session: Session,
        envelope: Envelope,
        address: str,
        options: Sequence[str],
    ) -> str:
        if self._manners.at_sender is not None:
            return self._manners.at_sender
        envelope.mail_from = address
        return "250 2.1.0 Sender taken"

    async def handle_RCPT(  # noqa: N802
        self,
        server: _Protocol,
        session: Session,
        envelope: Envelope,
        address: str,
        options: Sequence[str],
    ) -> str:
        if self._manners.at_recipient is not None:
            return self._manners.at_recipient
        if address.rpartition("@")[0] in self._manners.unknown:
            return f"550 5.1.1 <{address}>: no such mailbox here"
        if self._exchanger.is_put_off(envelope.mail_from, address):
            return "451 4.7.1 Greylisted: come back in a moment"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Recipient taken"

    async def handle_DATA(  # noqa: N802
        self, server: _Protocol, session: Session, envelope: Envelope
    ) -> str:
        if self._exchanger.hang_ups_left > 0:
            self._exchanger.hang_ups_left -= 1
            await server.hang_up()
        await self._exchanger.keep(_received(server, session, envelope))
        return f"250 2.0.0 Taken as {len(self._exchanger.mail)}"


def _received(server: _Protocol, session: Session, envelope: Envelope) -> Received:
    assert envelope.mail_from is not None  # DATA comes after MAIL, and MAIL after EHLO
    assert envelope.original_content is not None
    assert session.host_name is not None
    secured = server.secured()
    return Received(
        sender="" if envelope.mail_from == "<>" else envelope.mail_from,  # as aiosmtpd has it
        recipients=tuple(envelope.rcpt_tos),
        content=envelope.original_content,
        helo=session.host_name,
        tls=secured.version() if secured is not None else None,
        login=session.auth_data if session.authenticated else None,
        at=time.time(),
    )


def _gatekeeper(logins: Mapping[str, str]) -> Callable[..., AuthResult]:
    """What aiosmtpd asks whether a name and a password are right."""

    def judge(
        server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: LoginPassword
    ) -> AuthResult:
        name, password = given.login.decode(), given.password.decode()
        is_right = logins.get(name) == password
        return AuthResult(success=is_right, handled=False, auth_data=name)

    return judge


def _write(folder: Path, number: int, received: Received) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    facts = asdict(received)
    del facts["content"]
    folder.joinpath(f"{number:03}.json").write_text(json.dumps(facts, indent=2) + "\n")
    folder.joinpath(f"{number:03}.eml").write_bytes(received.content)
