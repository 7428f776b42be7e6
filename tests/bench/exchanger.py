"""A mail exchanger that is slow or unwilling, as a program: `python -m tests.bench.exchanger`.

Every reply leaves `--delay` seconds after what it answers came, so that commands sent in one
go are answered in one round trip. It reads words from its standard input, `refuse` and `accept`:
while it refuses, every recipient gets 450. It writes its port as its first line, then lines of
"messages recipients refused last", the last being when the last message or refusal was whole
(time.monotonic, which all processes of a machine share).
"""

import argparse
import asyncio
import os
import sys
import time
from typing import cast

import uvloop

_EHLO = (
    b"250-exchanger\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
)
_OK = b"250 2.0.0 OK\r\n"
_LATER = b"450 4.2.0 Come again later\r\n"
_END = b"\r\n.\r\n"
_REPORT_INTERVAL = 0.005  # seconds


class Counts:
    """What came, told on the standard output soon after."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.is_refusing = False
        self._messages = self._recipients = self._refused = 0
        self._last = 0.0
        self._loop = loop
        self._is_told = True

    def took(self, recipients: int) -> None:
        """A message was whole."""
        self._messages += 1
        self._recipients += recipients
        self._news()

    def refused(self) -> None:
        """A recipient was put off."""
        self._refused += 1
        self._news()

    def _news(self) -> None:
        self._last = time.monotonic()
        if self._is_told:
            self._is_told = False
            self._loop.call_later(_REPORT_INTERVAL, self._tell)

    def _tell(self) -> None:
        self._is_told = True
        print(self._messages, self._recipients, self._refused, self._last, flush=True)


class Conversation(asyncio.Protocol):
    """One connection. Input is bounded by what our own bench sends."""

    def __init__(self, counts: Counts, delay: float) -> None:
        self._counts = counts
        self._delay = delay
        self._input = b""
        self._recipients = 0
        self._is_content = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own kind
        self._say([b"220 exchanger ESMTP\r\n"])

    def data_received(self, data: bytes) -> None:
        self._input += data
        replies: list[bytes] = []
        while self._content_step(replies) if self._is_content else self._command_step(replies):
            pass
        if replies:
            self._say(replies)

    def _content_step(self, replies: list[bytes]) -> bool:
        end = self._input.find(_END)
        if end < 0:
            return False
        self._input = self._input[end + len(_END) :]
        self._is_content = False
        self._counts.took(self._recipients)
        self._recipients = 0
        replies.append(_OK)
        return True

    def _command_step(self, replies: list[bytes]) -> bool:
        *lines, rest = self._input.split(b"\r\n")
        for number, line in enumerate(lines):
            replies.append(self._answer(line[:4].upper()))
            if self._is_content:
                # What precedes the content ends a line: an empty content ends with its first dot.
                self._input = b"\r\n" + b"\r\n".join([*lines[number + 1 :], rest])
                return True
        self._input = rest
        return False

    def _answer(self, verb: bytes) -> bytes:
        match verb:
            case b"EHLO":
                return _EHLO
            case b"MAIL" | b"RSET":
                self._recipients = 0
            case b"RCPT" if self._counts.is_refusing:
                self._counts.refused()
                return _LATER
            case b"RCPT":
                self._recipients += 1
            case b"DATA" if self._recipients == 0:
                return b"554 5.5.1 No valid recipients\r\n"
            case b"DATA":
                self._is_content = True
                return b"354 Go on\r\n"
            case b"QUIT":
                return b"221 2.0.0 Bye\r\n"
        return _OK

    def _say(self, replies: list[bytes]) -> None:
        reply = b"".join(replies)
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._write, reply)
        else:
            self._write(reply)

    def _write(self, reply: bytes) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        self._transport.write(reply)
        if reply.endswith(b"Bye\r\n"):
            self._transport.close()


async def serve(delay: float) -> None:
    """Take mail until the standard input ends."""
    loop = asyncio.get_running_loop()
    counts = Counts(loop)
    server = await loop.create_server(
        lambda: Conversation(counts, delay), "127.0.0.1", 0, backlog=1000
    )
    is_over = asyncio.Event()

    def read_words() -> None:
        words = os.read(sys.stdin.fileno(), 1000).split()
        if not words:
            is_over.set()
        for word in words:
            counts.is_refusing = word == b"refuse"
            print(word.decode(), flush=True)

    loop.add_reader(sys.stdin.fileno(), read_words)
    print(server.sockets[0].getsockname()[1], flush=True)
    await is_over.wait()
    loop.remove_reader(sys.stdin.fileno())
    server.close()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0.0)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(parser.parse_args().delay))


if __name__ == "__main__":
    main()
