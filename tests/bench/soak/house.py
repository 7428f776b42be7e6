"""The server and the exchanger as processes that come and go, and the DNS that leads to them."""

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

from mta.sandbox.dns import DnsServer, Records
from tests.bench.children import HOST, BenchError, Child, HeldPort, greets, wait_until
from tests.bench.soak.crowd import DOMAINS, SERVER_IDLE
from tests.bench.soak.mood import CALM, Mood
from tests.e2e.traffic import SENDER_DOMAIN

START_LIMIT = 60.0  # seconds
STOP_LIMIT = 60.0
LINGER = 1.0


class House:
    """One folder with all of it in; `kills` are the moments of SIGKILL, in Unix seconds.

    `patience` is how long the server waits for any reply of the exchanger, in seconds. All
    methods that wait block, and raise BenchError in vain.
    """

    def __init__(self, folder: Path, patience: float) -> None:
        self.folder = folder
        self.records = folder / "records"
        self.kills: list[float] = []
        self.starts: list[float] = []  # how long each took, in seconds
        self.stops: list[float] = []
        self.port = HeldPort()
        self.dns = DnsServer(
            {domain: Records(mx=((10, "mx.sink.test"),)) for domain in (*DOMAINS, SENDER_DOMAIN)}
            | {"mx.sink.test": Records(a=(HOST,))}
        )
        self._exchanger_port = HeldPort()
        self._patience = patience
        self._reloads = 0
        self._server: Child | None = None
        self._exchanger: Child | None = None

    @property
    def spool(self) -> Path:
        """The server's folder."""
        return self.folder / "spool"

    @property
    def events(self) -> Path:
        """What the server told, as lines of JSON."""
        return self.folder / "events.json"

    @property
    def server(self) -> Child:
        """The process as it runs now."""
        assert self._server is not None, "it was never started"
        return self._server

    def say_mood(self, mood: Mood) -> None:
        """Have the exchanger behave like this, soon."""
        mood.write(self.folder / "mood.json")

    def start(self) -> None:
        """Start the server, and wait until it greets."""
        self._write_settings()
        began_at = time.monotonic()
        config = str(self.folder / "config.yaml")
        command = (sys.executable, "-m", "mta", "serve", "--config", config)
        self._server = child = Child(command, self.events, self.folder / "log")
        wait_until(
            lambda: greets(self.port.number) or not child.is_running(),
            START_LIMIT,
            "mta serve to greet",
        )
        if not child.is_running():
            raise BenchError(f"mta serve did not start; it said: {child.said()}")
        self.starts.append(time.monotonic() - began_at)

    def stop(self) -> None:
        """End the server in good order."""
        began_at = time.monotonic()
        self.server.tell(signal.SIGTERM)
        status = self.server.ended(STOP_LIMIT)
        if status != 0:
            raise BenchError(f"mta serve ended with {status}; it said: {self.server.said()}")
        self.stops.append(time.monotonic() - began_at)

    def kill(self) -> None:
        """End the server as a crash does."""
        self.kills.append(time.time())
        self.server.tell(signal.SIGKILL)
        self.server.ended(STOP_LIMIT)

    def reload(self) -> None:
        """Change a setting or two, and have the server read them."""
        self._reloads += 1
        self._write_settings()
        self.server.tell(signal.SIGHUP)

    def open_exchanger(self) -> None:
        """Start the exchanger, which has been closed."""
        if not (self.folder / "mood.json").exists():
            self.say_mood(CALM)
        self._exchanger = Child(self._exchanger_command(), self.folder / "exchanger.log")
        wait_until(lambda: greets(self._exchanger_port.number), START_LIMIT, "the exchanger")

    def close_exchanger(self) -> None:
        """End the exchanger in the middle of whatever it does."""
        assert self._exchanger is not None, "it was never opened"
        self._exchanger.tell(signal.SIGKILL)
        self._exchanger.ended(STOP_LIMIT)

    def close(self) -> None:
        """Let nothing of it be left."""
        for child in (self._server, self._exchanger):
            if child is not None:
                child.end()
        self.port.close()
        self._exchanger_port.close()

    def _exchanger_command(self) -> tuple[str, ...]:
        return (
            *(sys.executable, "-m", "tests.bench.soak.exchanger"),
            *("--port", str(self._exchanger_port.number)),
            *("--records", str(self.records)),
            *("--mood", str(self.folder / "mood.json")),
        )

    def _write_settings(self) -> None:
        (self.folder / "config.yaml").write_text(json.dumps(self._settings()))  # JSON is YAML

    def _settings(self) -> dict[str, Any]:
        """Our defaults, but for the road, and for times that let a soak be short."""
        nameserver, port = self.dns.address
        stages = ("connect", "greeting", "command", "data", "block", "final_dot")
        return {
            "hostname": "mail.app.test",
            "spool": str(self.spool),
            "listen": [{"address": f"{HOST}:{self.port.number}"}],
            "admin": None,  # its port may be another server's, and free at last
            "limits": {"idle": f"{SERVER_IDLE}s"},
            "delivery": {
                "port": self._exchanger_port.number,
                "private_addresses": True,
                "retry": ["2s", "5s"],
                "give_up_after": "5d",
                "per_destination": 10 + self._reloads % 2,
                "linger": f"{LINGER}s",
                "timeouts": dict.fromkeys(stages, f"{self._patience}s"),
            },
            "dns": {"nameservers": [f"{nameserver}:{port}"]},
            "keep": {"failed": 0},
            "log": {"events": "json"},
            "shutdown": "5s",
        }
