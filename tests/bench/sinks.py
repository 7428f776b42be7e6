"""Where mail ends: Postfix's smtp-sink for speed, our own exchanger for the slow and unwilling.

Both keep count in the same words: how many messages came whole, and when the last of them did.
"""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self

from tests.bench.children import HOST, BenchError, free_port, greets, wait_until

_PAUSE = 0.002  # seconds between looks at a sink's counters; waking for each costs CPU
STALL = 30.0  # seconds without news, after which none is expected any more
_COUNTER = re.compile(rb"mesg=(\d+)\r")


@dataclass(frozen=True, slots=True)
class Tally:
    """What a sink has seen; `last_at` is by time.monotonic."""

    messages: int = 0
    recipients: int = 0
    refused: int = 0
    last_at: float = 0.0


class Sink:
    """A sink that runs while it is entered."""

    def __init__(self, command: Sequence[str], port: int) -> None:
        self.port = port
        self.tally = Tally()
        self._command = command
        self._news = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader = threading.Thread(target=self._read_all, name="sink")

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        try:
            self._started()
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._running
        process.kill()
        process.wait()
        self._reader.join()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

    def wait_for(self, within: float, **least: int) -> Tally:
        """Wait until the tally has these, as in wait_for(60, messages=5000).

        Raises BenchError after `within` seconds, and where none comes for `STALL` seconds.
        """

        def is_there() -> bool:
            return all(getattr(self.tally, name) >= count for name, count in least.items())

        ends_at = time.monotonic() + within
        with self._news:
            while not is_there():
                limit = min(STALL, ends_at - time.monotonic())
                if not self._news.wait(max(0.0, limit)):  # a sink that takes mail has news
                    raise BenchError(f"expected {least} at the sink, which stands at {self.tally}")
            return self.tally

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "it was never entered"
        return self._process

    @property
    def _output(self) -> IO[bytes]:
        assert self._running.stdout is not None
        return self._running.stdout

    def _started(self) -> None:
        wait_until(lambda: greets(self.port), 10, f"{self._command[0]} on port {self.port}")

    def _read_all(self) -> None:
        rest = b""
        while data := os.read(self._output.fileno(), 65536):
            now = time.monotonic()
            with self._news:
                rest = self._take(rest + data, now)
                self._news.notify_all()
            time.sleep(_PAUSE)

    def _take(self, data: bytes, now: float) -> bytes:
        """Read what was written at `now`; gives what is not whole yet."""
        raise NotImplementedError


class SmtpSink(Sink):
    """Postfix's smtp-sink: fast, takes everything, counts messages alone."""

    def __init__(self, connections: int) -> None:
        """Hold at most so many connections."""
        port = free_port()
        # It wants to give up root's rights, and has nothing to say about anybody else's.
        user = ("-u", "postfix") if os.geteuid() == 0 else ()
        options = ("-c", "-m", str(connections), *user, f"{HOST}:{port}", "1000")
        super().__init__(("smtp-sink", *options), port)

    def _take(self, data: bytes, now: float) -> bytes:
        found = _COUNTER.findall(data)
        if found and (messages := int(found[-1])) != self.tally.messages:
            self.tally = Tally(messages, last_at=now)
        return data[data.rfind(b"\r") + 1 :]


class Exchanger(Sink):
    """Our own: replies after `delay` seconds, counts recipients, refuses when told to."""

    def __init__(self, delay: float = 0.0) -> None:
        command = (sys.executable, "-m", "tests.bench.exchanger", "--delay", str(delay))
        super().__init__(command, 0)
        self._said: list[bytes] = []

    def say(self, word: str) -> None:
        """Tell it to `refuse` or to `accept`, and wait until it has heard."""
        assert self._running.stdin is not None
        self._running.stdin.write(word.encode() + b"\n")
        with self._news:
            if not self._news.wait_for(lambda: word.encode() in self._said, 10):
                raise BenchError(f"the exchanger does not hear {word}")
            self._said.clear()

    def _started(self) -> None:
        first = self._output.readline()
        if not first.strip().isdigit():
            raise BenchError("our exchanger did not start")
        self.port = int(first)

    def _take(self, data: bytes, now: float) -> bytes:
        *lines, rest = data.split(b"\n")
        for line in lines:
            fields = line.split()
            if len(fields) == 4:
                messages, recipients, refused = map(int, fields[:3])
                self.tally = Tally(messages, recipients, refused, float(fields[3]))
            else:
                self._said.append(line)
        return rest
