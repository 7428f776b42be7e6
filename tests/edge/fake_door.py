"""A door that takes what it is handed, and a client that talks to it octet by octet."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from mta.model.address import Address
from mta.model.envelope import Client, Submission
from mta.model.outcome import Reply
from mta.model.user import LoginRefused, Refusal, User

from mta.edge.certificates import ensure_self_signed
from mta.edge.idn import to_ascii
from mta.edge.submission import Door, SubmissionServer
from mta.edge.tls import server_context

T = TypeVar("T")

PATIENCE = 10.0  # seconds for one wait: no test should come near it
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def run(scene: Coroutine[Any, Any, T], loop: str = "asyncio") -> T:
    """Play a scene on a loop of its own."""
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(scene)


class FakeDoor:
    """Takes everything but what its local parts say otherwise of.

    While `is_shut`, messages wait to be taken until `open` is called; `knocked` says that one does.
    """

    def __init__(self, *, is_shut: bool = False) -> None:
        self.submissions: list[Submission] = []
        self.sizes: list[int] = []
        self.counts: list[int] = []  # of recipients, as RCPT was asked about
        self.clients = 0
        self.objection: Reply | None = None  # to every client
        self.knocked = asyncio.Event()
        self._opened = asyncio.Event()
        if not is_shut:
            self.open()

    def open(self) -> None:
        self._opened.set()

    def objection_to_client(self, address: str) -> Reply | None:
        del address
        self.clients += 1
        return self.objection

    def objection_to_sender(
        self, sender: Address | None, size: int, client: Client
    ) -> Reply | None:
        self.sizes.append(size)
        if sender is not None and sender.local == "fault":
            raise ZeroDivisionError
        is_refused = sender is not None and sender.local == "refused"
        return Reply(550, "Not yours", 7, 1) if is_refused else None

    def objection_to_recipient(
        self, sender: Address | None, recipient: Address, count: int, client: Client
    ) -> Reply | None:
        self.counts.append(count)
        return Reply(550, "Nobody there", 1, 1) if recipient.local == "nobody" else None

    async def accept(self, submission: Submission) -> Reply:
        self.knocked.set()
        await self._opened.wait()
        names = {recipient.local for recipient in submission.recipients}
        if "broken" in names:
            raise ZeroDivisionError
        if "full" in names:
            return Reply(452, "Full", 3, 1)
        self.submissions.append(submission)
        return Reply(250, f"Queued as id{len(self.submissions)}")


class FakeLogins:
    """Lets everybody in whose password is "secret", but whose names say otherwise.

    While `is_slow`, they wait to be let in until `open` is called.
    """

    def __init__(self, *, is_slow: bool = False) -> None:
        self._opened = asyncio.Event()
        if not is_slow:
            self.open()

    def open(self) -> None:
        self._opened.set()

    async def user_by_password(self, name: str, password: str, address: str) -> User | LoginRefused:
        await self._opened.wait()
        if name == "fault":
            raise ZeroDivisionError
        if name == "busy":
            return LoginRefused(Refusal.BUSY)
        if name == "locked":
            return LoginRefused(Refusal.LOCKED, 300.0)
        return User(name) if password == "secret" else LoginRefused(Refusal.WRONG)


class Talker:
    """A client as octets. Everything has a limit in time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def say(self, *lines: bytes) -> None:
        """Lines, each with its CRLF, in one write."""
        await self.say_raw(b"".join(line + b"\r\n" for line in lines))

    async def say_raw(self, data: bytes) -> None:
        self._writer.write(data)
        async with asyncio.timeout(PATIENCE):
            await self._writer.drain()

    async def say_by_octets(self, data: bytes) -> None:
        """One write an octet, with time for the server to take it."""
        for place in range(len(data)):
            self._writer.write(data[place : place + 1])
            await asyncio.sleep(0)
        await self.say_raw(b"")

    def say_no_more(self) -> None:
        self._writer.write_eof()

    async def hear(self) -> bytes:
        """A line without its CRLF; b"" where the server has gone."""
        async with asyncio.timeout(PATIENCE):
            return (await self._reader.readline()).removesuffix(b"\r\n")

    async def hear_reply(self) -> bytes:
        """The last line of the next reply."""
        line = await self.hear()
        while line[3:4] == b"-":
            line = await self.hear()
        return line

    async def hear_all(self) -> bytes:
        """Everything until the server goes."""
        async with asyncio.timeout(PATIENCE):
            return await self._reader.read()

    async def ask(self, *lines: bytes) -> bytes:
        """Say lines, and hear the last line of one reply."""
        await self.say(*lines)
        return await self.hear_reply()

    async def begin(self, *, recipient: bytes = b"bob@there.test") -> None:
        """Greet, and go on to where a content is asked for."""
        await self.hear_reply()
        await self.say(b"EHLO client.test", b"MAIL FROM:<ann@here.test>")
        await self.say(b"RCPT TO:<" + recipient + b">", b"DATA")
        replies = [await self.hear_reply() for _ in range(4)]
        assert [reply[:3] for reply in replies] == [b"250", b"250", b"250", b"354"], replies

    async def shake_hands(self, context: ssl.SSLContext) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._writer.start_tls(context)

    def hang_up(self) -> None:
        """Go without a word."""
        self._writer.transport.abort()

    async def close(self) -> None:
        self._writer.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._writer.wait_closed()
        except OSError:
            pass  # the server was first, and abrupt


@asynccontextmanager
async def serving(door: Door, **settings: Any) -> AsyncIterator[SubmissionServer]:
    """A running server, drained in the end."""
    server = SubmissionServer(door=door, hostname="mail.test", to_ascii=to_ascii, **settings)
    await server.start()
    try:
        yield server
    finally:
        async with asyncio.timeout(PATIENCE):
            await server.drain(0)


@asynccontextmanager
async def talking(
    server: SubmissionServer, *, context: ssl.SSLContext | None = None
) -> AsyncIterator[Talker]:
    """A client of a server's first listener, with TLS from the start where a context is given."""
    unix = server.places[0].removeprefix("unix:")
    async with asyncio.timeout(PATIENCE):
        if unix != server.places[0]:
            name = "mail.test" if context else None
            reader, writer = await asyncio.open_unix_connection(
                unix, ssl=context, server_hostname=name
            )
        else:
            reader, writer = await asyncio.open_connection(*server.addresses[0], ssl=context)
    talker = Talker(reader, writer)
    try:
        yield talker
    finally:
        await talker.close()


def trusting_anybody() -> ssl.SSLContext:
    """A client's TLS that verifies nothing."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate that nobody vouches for."""
    return server_context(*ensure_self_signed(folder, "mail.test", time.time()))
