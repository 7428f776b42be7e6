"""A mail exchanger that is quick and keeps count: of every message it says when it was whole.

It serves every domain of a small zone and runs, with the DNS server that names it, on a thread
of its own. A recipient's local part says how it is treated: `no…` is refused, `later…` is put
off once, all others are taken. Content is kept as a digest alone, so that many may come.
"""

import asyncio
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from mta.sandbox.dns import DnsServer, Records
from tests.e2e.copies import Copy, content_of, copy_of

_LIMIT = 16 * 1024 * 1024  # octets of a message
_SLOWEST = 0.01  # seconds before the reply to a final dot
_PATH = re.compile(rb"<(.*?)>")


@dataclass(slots=True)
class _Envelope:
    sender: str = ""
    recipients: list[str] = field(default_factory=list)


class Sink:
    """Takes mail while it is entered.

    `mail` and `reports` are what came whole, `counts` what else there was: connections, broken
    (in the middle of a content), put off, refused. While `is_shut` every recipient is put off.
    """

    def __init__(self, domains: Sequence[str], seed: int) -> None:
        self.mail: list[Copy] = []
        self.reports: list[Copy] = []
        self.counts: Counter[str] = Counter()
        self.is_shut = False
        self._port = 0
        self._put_off: set[str] = set()
        self._chance = random.Random(seed)
        self._dns = DnsServer(
            {domain: Records(mx=((10, "mx.sink.test"),)) for domain in domains}
            | {"mx.sink.test": Records(a=("127.0.0.1",))}
        )
        self._connections: set[asyncio.Task[None]] = set()
        self._is_up = threading.Event()
        self._is_over = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="sink")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_up.wait(20), "the sink did not start"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join()

    def settings(self, spool: Path) -> dict[str, Any]:
        """Settings for `mta serve` that lead all mail here, with a second between attempts."""
        nameserver, port = self._dns.address
        return {
            "hostname": "mail.app.test",
            "spool": str(spool),
            "listen": [{"address": "127.0.0.1:0"}],
            "delivery": {"port": self._port, "private_addresses": True, "retry": ["1s"]},
            "dns": {"nameservers": [f"{nameserver}:{port}"]},
            "keep": {"failed": 0},
        }

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self._dns:
            server = await asyncio.start_server(
                self._connected, "127.0.0.1", 0, limit=_LIMIT, backlog=1000
            )
            self._port = server.sockets[0].getsockname()[1]
            self._is_up.set()
            await self._is_over.wait()
            server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._connections.add(task)
        self.counts["connections"] += 1
        try:
            await self._converse(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the peer was killed, or we are done
        finally:
            writer.close()
            self._connections.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        envelope = _Envelope()
        writer.write(b"220 mx.sink.test ESMTP\r\n")
        while line := await reader.readuntil(b"\r\n"):
            verb = line[:4].upper()
            if verb == b"DATA" and envelope.recipients:
                writer.write(b"354 Go on\r\n")
                await self._take(envelope, reader, writer)
                envelope = _Envelope()
                continue
            if verb in (b"MAIL", b"RSET", b"EHLO"):
                envelope = _Envelope()
            writer.write(self._answer(verb, line, envelope))
            if verb == b"QUIT":
                return
            if not reader.at_eof():
                await writer.drain()

    def _answer(self, verb: bytes, line: bytes, envelope: _Envelope) -> bytes:
        match verb:
            case b"EHLO":
                return b"250-mx.sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE\r\n"
            case b"MAIL":
                envelope.sender = _path(line)
                return b"250 2.1.0 OK\r\n"
            case b"RCPT":
                return self._answer_recipient(_path(line), envelope)
            case b"DATA":
                return b"554 5.5.1 No valid recipients\r\n"
            case b"QUIT":
                return b"221 2.0.0 Bye\r\n"
            case _:
                return b"250 2.0.0 OK\r\n"

    def _answer_recipient(self, recipient: str, envelope: _Envelope) -> bytes:
        if recipient.startswith("no"):
            self.counts["refused"] += 1
            return b"550 5.1.1 No such user\r\n"
        is_late = recipient.startswith("later") and recipient not in self._put_off
        if is_late or self.is_shut:
            self._put_off.add(recipient)
            self.counts["put off"] += 1
            return b"451 4.7.1 Come again later\r\n"
        envelope.recipients.append(recipient)
        return b"250 2.1.5 OK\r\n"

    async def _take(
        self, envelope: _Envelope, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            wire = await reader.readuntil(b"\r\n.\r\n")
        except EOFError:
            self.counts["broken"] += 1  # no final dot, no message
            raise
        whole_at = time.time()
        await asyncio.sleep(self._chance.uniform(0, _SLOWEST))
        was_cut = reader.at_eof()
        writer.write(b"250 2.0.0 Taken\r\n")
        copy = copy_of(
            content_of(wire),
            sender=envelope.sender,
            recipients=envelope.recipients,
            whole_at=whole_at,
            answered_at=time.time(),
            was_cut=was_cut,
        )
        (self.mail if envelope.sender else self.reports).append(copy)


def _path(line: bytes) -> str:
    found = _PATH.search(line)
    return found[1].decode() if found else ""
