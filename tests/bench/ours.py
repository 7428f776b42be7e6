"""Our side: `mta serve` with its defaults, but for the road that all mail takes."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from mta.edge.keys import new_key

from tests.bench.children import HOST, Child, free_port
from tests.bench.servers import SENDER, Order

NAME = "mta"


class Ours:
    """`mta serve`; its events go to a file as JSON, its spool syncs before each 250."""

    def __init__(self, changes: Mapping[str, object] | None = None, name: str = NAME) -> None:
        """`changes` are settings that differ from those of an order, section by section."""
        self._changes = changes or {}
        self._name = name

    @property
    def name(self) -> str:
        """See `Side`."""
        return self._name

    def prepare(self, order: Order) -> int:
        """See `Side`."""
        port = free_port()
        folder = order.folder
        if order.is_signed:
            _write_key(folder / "key.pem")
        changed = merged(settings(order, port), self._changes)
        (folder / "config.yaml").write_text(json.dumps(changed))  # JSON is YAML
        return port

    def start(self, order: Order, port: int) -> Child:
        """See `Side`."""
        del port  # it stands in the configuration
        folder = order.folder
        command = (sys.executable, "-m", "mta", "serve", "--config", str(folder / "config.yaml"))
        return Child((*order.prefix, *command), folder / "events.json", folder / "log")


def settings(order: Order, port: int) -> dict[str, object]:
    """The settings of an order; what it does not name has our defaults."""
    smarthost = {"host": HOST, "port": order.sink_port, "tls": "none"}
    keys = [{"domain": SENDER.partition("@")[2], "selector": "s1", "key": "key.pem"}]
    return {
        "hostname": "mail.app.test",
        "spool": "spool",
        "listen": [{"address": f"{HOST}:{port}"}],
        "delivery": {
            "mode": "smarthost",
            "smarthost": smarthost,
            "concurrency": max(100, order.connections),
            "per_destination": order.connections,
            "retry": [f"{order.retry:.0f}s"],
        },
        "dkim": keys if order.is_signed else [],
        "log": {"events": "json"},
        "shutdown": "5s",
    }


def merged(settings: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """Settings with some of them changed; a section keeps what is not named."""
    result = dict(settings)
    for key, new in changes.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            new = merged(old, new)
        result[key] = new
    return result


def _write_key(path: Path) -> None:
    if not path.exists():
        new_key(path)
