"""What a server of either side must be: started in a folder, measured from its root process."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.bench.children import Child, greets, wait_until

SENDER = "app@app.test"
RECIPIENT = "user@there.test"
START_LIMIT = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Order:
    """What a workload asks of a server, whichever it is.

    All mail goes to the sink at `sink_port`, on at most `connections` at once; `is_far` says that
    a round trip to it is slow, so that connections are worth keeping at any cost. What is put off
    is tried again after `retry` seconds, and not before. `prefix` stands in front of the command
    that starts the server: strace, where syncs are counted or made slow.
    """

    folder: Path
    sink_port: int
    connections: int
    is_far: bool = False
    retry: float = 300.0
    is_signed: bool = False
    prefix: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs. `child` is the root of its processes."""

    child: Child
    port: int


class Side(Protocol):
    """One of those that are compared."""

    @property
    def name(self) -> str:
        """What it is called in the report."""

    def prepare(self, order: Order) -> int:
        """Make its folders and configuration, once for each order; gives the port it will have."""

    def start(self, order: Order, port: int) -> Child:
        """Start it, in folders that were prepared; it may not listen yet."""


def start(side: Side, order: Order, port: int, within: float = START_LIMIT) -> Running:
    """Start a server and wait until it greets. Raises BenchError with its words if it does not."""
    child = side.start(order, port)
    try:
        wait_until(lambda: greets(port) or not child.is_running(), within, f"{side.name} to greet")
        if not child.is_running():
            wait_until(lambda: False, 0, f"{side.name} to start; it said: {child.said()}")
    except BaseException:
        child.end()
        raise
    return Running(child, port)
