"""The length of the queue: messages that wait for tomorrow, and what they cost today."""

import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from tests.bench.children import BenchError
from tests.bench.figures import Figures, percentile
from tests.bench.growth.curves import Column, Curve, Growth, Point
from tests.bench.growth.fill import fill
from tests.bench.load import send
from tests.bench.meter import pss, settled_cpu_seconds
from tests.bench.ours import Ours
from tests.bench.servers import Order, Running, start
from tests.bench.sinks import Exchanger
from tests.bench.trial import MB, under_load, warm_up
from tests.bench.workloads import LIMIT, Workload

LENGTHS = (0, 1_000, 10_000, 100_000)
MILLION = 1_000_000
START_LIMIT = 600.0  # seconds
RETRY = 4.0  # seconds; what is put off comes due that much later, in a tenth of it about


def lengths(*, is_quick: bool, with_million: bool) -> tuple[int, ...]:
    """Which are measured."""
    least = LENGTHS[:-1] if is_quick else LENGTHS
    return (*least, MILLION) if with_million else least


def curve() -> Curve:
    """An empty one."""
    return Curve(
        "queue",
        "started with so many messages waiting; then new mail as in W1b, and some that comes due",
        "queued",
        (
            Column("ready", "start to greeting, s", 2, Growth.LINEAR),
            Column("start_cpu", "CPU s to start", 2, Growth.LINEAR),
            Column("queued", "memory then, MB", 1, Growth.LINEAR),
            Column("delivered", "delivered/s"),
            Column("cpu", "CPU ms a message", 3, Growth.CONSTANT),
            Column("late", "due to delivered, median ms", 1),
            Column("latest", "due to delivered, p99 ms", 1),
            Column("claim_cpu", "CPU ms a due message", 3, Growth.CONSTANT),
        ),
    )


def measure(length: int, parent: Path, *, is_quick: bool) -> Point:
    """One point. Raises BenchError."""
    with (
        tempfile.TemporaryDirectory(prefix="mta-bench-", dir=parent) as name,
        Exchanger() as sink,
    ):
        folder = Path(name)
        order = Order(folder, sink.port, connections=20, retry=RETRY)
        side = Ours({"limits": {"queue": 10 * MILLION}})
        port = side.prepare(order)
        fill(folder / "spool", length)
        began_at = time.monotonic()
        server = start(side, order, port, START_LIMIT)
        ready = time.monotonic() - began_at
        with server.child:
            start_cpu = settled_cpu_seconds(server.child.id)
            queued = pss(server.child.id)
            warm_up(server, sink)
            load = under_load(_workload(500 if is_quick else 3000), server, sink)
            due = _come_due(server, sink, folder / "events.json", 50 if is_quick else 300)
    at_start = {"ready": ready, "start_cpu": start_cpu, "queued": queued / MB}
    return Point(length, {**load, **due, **at_start})


def _workload(messages: int) -> Workload:
    return Workload("", "as in W1b", messages, is_kept=True)


def _come_due(server: Running, sink: Exchanger, events: Path, count: int) -> Figures:
    """Have messages put off, and see how soon after their time each is delivered."""
    sink.say("refuse")
    before = sink.tally
    send(_workload(count), server.port)
    sink.wait_for(LIMIT, refused=before.refused + count)
    sink.say("accept")
    root = server.child.id
    cpu = settled_cpu_seconds(root, within=RETRY / 2)
    sink.wait_for(LIMIT, recipients=before.recipients + count)
    cpu = settled_cpu_seconds(root) - cpu
    with events.open() as lines:
        late = list(lateness(map(json.loads, lines)))
    if len(late) < count:
        raise BenchError(f"expected {count} messages to come due, found {len(late)}")
    return {
        "late": percentile(late, 0.5) * 1000,
        "latest": percentile(late, 0.99) * 1000,
        "claim_cpu": cpu / count * 1000,
    }


def lateness(events: Iterable[dict[str, str]]) -> Iterator[float]:
    """Seconds from each message's time to its delivery, for all that were put off."""
    due_at: dict[str, str] = {}
    for event in events:
        if event["event"] == "deferred":
            due_at[event["id"]] = event["next_at"]
        elif event["event"] == "delivered" and event["id"] in due_at:
            due = datetime.fromisoformat(due_at.pop(event["id"]))
            yield (datetime.fromisoformat(event["at"]) - due).total_seconds()
