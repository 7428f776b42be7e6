"""Child processes, each with all that it starts in a group of its own that ends with it."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"


class BenchError(Exception):
    """Something that was measured did not do its work; says what and in which time."""


class Child:
    """A program that runs while it is entered; its output goes to `output`."""

    def __init__(self, command: Sequence[str], output: Path, errors: Path | None = None) -> None:
        """`errors` takes the standard error where it is to stand apart."""
        self.output = output
        self._errors = errors or output
        with output.open("ab") as out, self._errors.open("ab") as err:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def id(self) -> int:
        """The process id."""
        return self._process.pid

    def is_running(self) -> bool:
        """Whether the program itself still runs."""
        return self._process.poll() is None

    def tell(self, number: signal.Signals) -> None:
        """Send a signal to the program, once; nobody else of its group gets it."""
        self._process.send_signal(number)

    def ended(self, within: float) -> int:
        """Wait for the program's end; gives its status. Raises BenchError."""
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise BenchError(f"process {self.id} did not end within {within:.0f} s") from None

    def said(self) -> str:
        """The end of what it wrote on its standard error."""
        return self._errors.read_text(errors="replace")[-3000:]

    def end(self, within: float = 20.0) -> None:
        """Ask the whole group to end; what has not after `within` seconds is killed."""
        for number, limit in ((signal.SIGTERM, within), (signal.SIGKILL, within)):
            ends_at = time.monotonic() + limit
            while self._is_group_left() and time.monotonic() < ends_at:
                self._signal(number)
                if self._waited(0.05):
                    self._outlive(ends_at)
        self._process.wait(within)

    def _waited(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _outlive(self, ends_at: float) -> None:
        """The leader has gone; its children may need a moment more."""
        while self._is_group_left() and time.monotonic() < ends_at:
            time.sleep(0.02)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return

    def _is_group_left(self) -> bool:
        self._process.poll()
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return False
        return True


def wait_until(is_so: Callable[[], bool], within: float, what: str, *, step: float = 0.01) -> None:
    """Look every `step` seconds. Raises BenchError after `within` seconds in vain."""
    ends_at = time.monotonic() + within
    while not is_so():
        if time.monotonic() > ends_at:
            raise BenchError(f"waited {within:.0f} s in vain for {what}")
        time.sleep(step)


class HeldPort:
    """A port of loopback that nobody else gets, while whoever listens there comes and goes.

    A socket that is bound and does not listen refuses connections, and lets others that reuse
    addresses listen in its place.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((HOST, 0))
        self.number: int = self._socket.getsockname()[1]

    def close(self) -> None:
        """Let it go."""
        self._socket.close()


def free_port() -> int:
    """A port of loopback that nobody has now."""
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def greets(port: int) -> bool:
    """Whether somebody says 220 there."""
    try:
        with socket.create_connection((HOST, port), timeout=10) as connection:
            greeting = connection.recv(4)
            connection.sendall(b"QUIT\r\n")
            while connection.recv(1000):
                pass
    except OSError:
        return False
    return greeting.startswith(b"220")


def run_to_end(command: Sequence[str], within: float) -> float:
    """Run a program; gives the seconds it took. Raises BenchError with its words if it fails."""
    began_at = time.monotonic()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            said, _ = process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            process.kill()
            raise BenchError(f"{command[0]} did not end within {within:.0f} s") from None
    if process.returncode != 0:
        raise BenchError(f"{command[0]} failed: {said.decode(errors='replace')[-500:]}")
    return time.monotonic() - began_at
