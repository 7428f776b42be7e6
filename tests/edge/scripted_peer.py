"""A peer on loopback that says what its script says, whatever SMTP would have it say."""

import asyncio
import datetime as dt
import ipaddress
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mta.model.domain import Host

T = TypeVar("T")

PATIENCE = 10.0  # seconds for one step of a script: no test should come near it


class Caller:
    """The client, as a script sees it. `heard` keeps every line without its CRLF."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.heard: list[bytes] = []

    @property
    def address(self) -> str:
        """Where it comes from."""
        name = self._writer.get_extra_info("peername")
        return str(name[0])

    @property
    def resumed(self) -> bool:
        """Whether it took up an earlier session of TLS."""
        ssl_object = self._writer.get_extra_info("ssl_object")
        return isinstance(ssl_object, ssl.SSLObject) and bool(ssl_object.session_reused)

    async def say(self, *lines: str) -> None:
        """Lines of text, in one write."""
        await self.say_raw("".join(f"{line}\r\n" for line in lines).encode())

    async def say_raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def hear(self, count: int = 1) -> bytes:
        """So many lines; gives the last, b"" where the client has gone."""
        line = b""
        for _ in range(count):
            async with asyncio.timeout(PATIENCE):
                line = await self._reader.readline()
            if line:
                self.heard.append(line.removesuffix(b"\r\n"))
        return line.removesuffix(b"\r\n")

    async def hear_some(self) -> bytes:
        """What one read brings."""
        async with asyncio.timeout(PATIENCE):
            return await self._reader.read(65536)

    async def hear_content(self) -> bytes:
        """All up to and with the final dot, as it is on the wire."""
        lines = [b""]
        async with asyncio.timeout(PATIENCE):
            while lines[-1] != b".\r\n":
                lines.append(await self._reader.readuntil(b"\r\n"))
        return b"".join(lines)

    async def hear_end(self) -> None:
        """Whatever comes, until the client has gone."""
        async with asyncio.timeout(PATIENCE):
            while await self._reader.read(65536):
                pass

    async def take_leave(self) -> None:
        """The end of a usual session."""
        if await self.hear() == b"QUIT":
            await self.say("221 bye")
        await self.hear_end()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """The server's side of a handshake."""
        await self._writer.start_tls(context)

    def stop_speaking(self) -> None:
        """Close our direction only, so that the client still reads what was said."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Break the connection with a RST."""
        linger = struct.pack("ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, linger
        )
        self._writer.transport.abort()

    async def greet(self, *offers: str) -> None:
        """The beginning of a usual session: greeting, and the answer to EHLO."""
        await self.say("220 mx.test ESMTP")
        await self.answer_hello(*offers)

    async def answer_hello(self, *offers: str) -> None:
        await self.hear()
        lines = ("mx.test", *offers)
        await self.say(*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}")


Script = Callable[[Caller], Awaitable[None]]


class ScriptedPeer:
    """Runs a script for each connection: the scripts in turn, the last one again and again.

    `async with` gives the Host to connect to. Leaving it waits for the scripts, ends every
    connection and raises what went wrong in a script. `callers` are the clients that came.
    """

    def __init__(
        self,
        *scripts: Script,
        name: str = "mx.test",
        address: str = "127.0.0.1",
        implicit_tls: ssl.SSLContext | None = None,
    ) -> None:
        self._scripts = scripts
        self._name = name
        self._address = address
        self._implicit_tls = implicit_tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[Exception] = []
        self.callers: list[Caller] = []

    async def __aenter__(self) -> Host:
        self._server = await asyncio.start_server(
            self._serve, self._address, 0, ssl=self._implicit_tls
        )
        return Host(self._name, self._address, self._server.sockets[0].getsockname()[1])

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        if error is None and self._tasks:  # a script ends when its client has gone
            await asyncio.wait(self._tasks, timeout=PATIENCE)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        if error is None and self._failures:
            raise self._failures[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        caller = Caller(reader, writer)
        self.callers.append(caller)
        script = self._scripts[min(len(self.callers), len(self._scripts)) - 1]
        try:
            await script(caller)
        except (ConnectionError, ssl.SSLError):
            pass  # a client that leaves is no failure of the script
        except Exception as error:  # noqa: BLE001 - raised where the test can see it
            self._failures.append(error)
        finally:
            if not writer.transport.is_closing():
                writer.close()


def run(
    work: Coroutine[Any, Any, T],
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
) -> T:
    """Run a test's work to its end, on a loop of its own, for less than forever."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(asyncio.wait_for(work, 3 * PATIENCE))


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what happens by itself, as soon as the loop turns."""
    async with asyncio.timeout(PATIENCE):
        while not is_so():  # noqa: ASYNC110 - what happens in a transport sets no event
            await asyncio.sleep(0)


def free_host(name: str = "mx.test") -> Host:
    """A place where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return Host(name, "127.0.0.1", listener.getsockname()[1])


def certificate(folder: Path, *names: str) -> Path:
    """A self-signed certificate for these names and addresses, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_general_name(n) for n in names]), False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{names[0]}.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + built.public_bytes(Encoding.PEM)
    )
    return path


def _general_name(name: str) -> x509.GeneralName:
    if re.fullmatch(r"[\d.]+", name):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


def server_context(pem: Path) -> ssl.SSLContext:
    """What a peer needs to shake hands with the certificate and key in `pem`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
