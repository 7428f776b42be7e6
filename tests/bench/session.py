"""A client of ours for many sessions at once, with a content of its own in each message.

smtp-source is faster, and sends the same to the same recipients without end.
"""

import asyncio
from collections.abc import Sequence
from typing import Self

from tests.bench.children import HOST

LIMIT = 30.0  # seconds for any reply


class Refused(Exception):
    """A reply that was not the one hoped for."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code


class Session:
    """One connection to a server that knows PIPELINING.

    Whatever waits raises Refused, and OSError or EOFError where the connection or the server's
    patience ends (TimeoutError is an OSError).
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect and say hello."""
        async with asyncio.timeout(LIMIT):
            session = cls(*await asyncio.open_connection(HOST, port))
        try:
            await session.hear(220)
            session.say(b"EHLO client.test\r\n")
            await session.hear(250)
        except BaseException:
            session.abort()
            raise
        return session

    async def send(self, sender: str, recipients: Sequence[str], content: bytes) -> str:
        """Send one message, whole, with CRLF; gives the text of its 250."""
        await self.offer(sender, recipients)
        return await self.finish(content)

    async def offer(self, sender: str, recipients: Sequence[str]) -> None:
        """All that precedes a content, in one go."""
        to = "".join(f"RCPT TO:<{recipient}>\r\n" for recipient in recipients)
        self.say(f"MAIL FROM:<{sender}>\r\n{to}DATA\r\n".encode())
        for _ in range(1 + len(recipients)):
            await self.hear(250)
        await self.hear(354)

    async def finish(self, content: bytes) -> str:
        """The content and its final dot; gives the text of the 250."""
        self.say(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        return await self.hear(250)

    def say(self, octets: bytes) -> None:
        """Write; what the peer does not read yet is kept."""
        self._writer.write(octets)

    async def hear(self, code: int) -> str:
        """Wait for one reply of this code; gives its last line."""
        async with asyncio.timeout(LIMIT):
            await self._writer.drain()
            line = await self._reader.readuntil(b"\r\n")
            while line[3:4] == b"-":
                line = await self._reader.readuntil(b"\r\n")
        text = line[4:].decode(errors="replace").strip()
        if line[:3] != b"%d" % code:
            raise Refused(int(line[:3]), text)
        return text

    async def close(self) -> None:
        """Say goodbye."""
        try:
            self.say(b"QUIT\r\n")
            await self.hear(221)
        except (Refused, OSError, EOFError):
            pass  # it went first
        finally:
            self.abort()

    def abort(self) -> None:
        """Hang up, whatever is under way."""
        self._writer.transport.abort()
