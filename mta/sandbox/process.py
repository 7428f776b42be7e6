"""The real server: `mta serve` as a child process, its events read as they are written."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import yaml

from mta.sandbox.loopback import SandboxError

Event = dict[str, Any]  # JSON, as operators read it

READY = re.compile(r"ready: .* on 127\.0\.0\.1:(\d+)")


class ServerProcess:
    """`mta serve` with a configuration file, from its start to its end; it can start again.

    `events` are the JSON lines of its standard output, `log` all other lines of both streams;
    `on_line` gets each of them. Every wait has a limit in seconds, and one in vain raises
    SandboxError with what the process said. `starter` is a command that becomes the server, with
    the server's own behind it.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        folder: Path,
        on_line: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.settings = settings
        self.config = folder / "config.yaml"
        self.environment = dict(os.environ)
        self.events: list[Event] = []
        self.log: list[str] = []
        self.port = 0
        self.starter: tuple[str, ...] = ()
        self._on_line = on_line
        self._news = threading.Condition()
        self._child: subprocess.Popen[str] | None = None
        self._readers: list[threading.Thread] = []
        self._heard = 0  # streams that may still say something

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let nothing of it be left; what runs still ends as by a crash."""
        if self._child is not None and self._child.poll() is None:
            self.kill()

    def start(self, within: float = 20.0) -> None:
        """Write the configuration, start, and wait until it listens."""
        self.launch()
        self._wait(lambda: self.port != 0, within, "the line that says where it listens")

    def launch(self) -> None:
        """Write the configuration and start."""
        self.write_settings()
        self.port = 0
        self._child = subprocess.Popen(  # noqa: S603 - our own Python, on a path of our making
            [*self.starter, sys.executable, "-m", "mta", "serve", "--config", str(self.config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=self.config.parent,
            env=self.environment,
            process_group=0,  # Ctrl-C is for us: a second signal would end it without order
        )
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        self._heard = 2
        self._readers = [self._reader(self._child.stdout), self._reader(self._child.stderr)]

    def write_settings(self) -> None:
        """Put the settings where the process reads them, at its start and at SIGHUP."""
        self.config.write_text(yaml.safe_dump(self.settings))

    def reload(self) -> None:
        """Write the settings anew, and ask for them to be read."""
        self.write_settings()
        self._running.send_signal(signal.SIGHUP)

    def stop(self, within: float = 20.0) -> int:
        """Ask for an end in good order; gives the exit status."""
        self._running.terminate()
        return self.ended(within)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._running.kill()
        self.ended()

    def ended(self, within: float | None = 20.0) -> int:
        """Wait for the end, without limit if it is None; gives the exit status."""
        try:
            status = self._running.wait(within)
        except subprocess.TimeoutExpired as error:
            raise SandboxError(f"mta serve did not end within {within} s") from error
        for reader in self._readers:
            reader.join()
        return status

    def event(self, within: float = 30.0, **facts: object) -> Event:
        """Wait for an event with these facts, as in event(event="failed", attempts=2)."""
        return self.events_with(1, within, **facts)[0]

    def events_with(self, count: int, within: float = 30.0, **facts: object) -> list[Event]:
        """Wait until there are `count` events with these facts; gives all of them."""
        self._wait(lambda: len(self._found(facts)) >= count, within, f"{count} events of {facts}")
        return self._found(facts)

    def says(self, pattern: str, within: float = 20.0) -> str:
        """Wait for a line of the log in which this regular expression is found."""
        self._wait(lambda: self._lines(pattern) != [], within, f"a line like {pattern}")
        return self._lines(pattern)[0]

    @property
    def _running(self) -> "subprocess.Popen[str]":
        assert self._child is not None, "it was never started"
        return self._child

    def _found(self, facts: dict[str, object]) -> list[Event]:
        return [event for event in self.events if facts.items() <= event.items()]

    def _lines(self, pattern: str) -> list[str]:
        return [line for line in self.log if re.search(pattern, line)]

    def _wait(self, is_so: Callable[[], bool], within: float, what: str) -> None:
        with self._news:
            self._news.wait_for(lambda: is_so() or not self._heard, within)
            if not is_so():
                why = f"not within {within:g} s" if self._heard else "it ended before"
                said = "\n".join([*self.log[-50:], *map(str, self.events[-50:])])
                raise SandboxError(f"expected {what} from mta serve: {why}. It said:\n{said}")

    def _reader(self, stream: IO[str]) -> threading.Thread:
        reader = threading.Thread(target=self._read, args=[stream], daemon=True)
        reader.start()
        return reader

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._news:
                    self._take(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._heard -= 1
            self._news.notify_all()

    def _take(self, line: str) -> None:
        self._on_line(line)
        event = _event_in(line)
        if event is not None:
            self.events.append(event)
            return
        self.log.append(line)
        ready = READY.search(line)
        if ready is not None and self.port == 0:
            self.port = int(ready[1])


def _event_in(line: str) -> Event | None:
    """The event that a line holds; None where it is prose, or was cut short by a kill."""
    try:
        event: Event | None = json.loads(line) if line.startswith("{") else None
    except json.JSONDecodeError:
        return None
    return event
