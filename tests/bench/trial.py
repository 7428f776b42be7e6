"""One workload on one side, once: from an empty folder to its figures."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.figures import Figures, percentile
from tests.bench.load import latencies, send
from tests.bench.meter import (
    PeakMemory,
    count_syncs,
    counting_syncs,
    pss,
    settled_cpu_seconds,
    slow_syncs,
)
from tests.bench.servers import Order, Running, Side, start
from tests.bench.sinks import Exchanger, Sink, SmtpSink
from tests.bench.workloads import KIB, LIMIT, Course, Workload, shortened

WARM_UP = 100  # messages before the clock starts: processes are up, connections known
MARGIN = 1.15  # of a retry's delay, past which all that was put off is due; ours has a jitter
SYNC_MESSAGES = 300  # of the run that counts syncs
MB = 1e6


@dataclass(frozen=True, slots=True)
class Stage:
    """A server between its client and its sink."""

    side: Side
    order: Order
    server: Running
    sink: Sink


def measure(workload: Workload, side: Side, parent: Path) -> Figures:
    """Run it once; everything stands below `parent` and is removed. Raises BenchError."""
    with _folder(parent) as folder, _sink_for(workload) as sink:
        order = _order(workload, folder, sink)
        return _COURSES[workload.course](workload, side, order, sink)


def syncs_per_message(workload: Workload, side: Side, parent: Path) -> float:
    """Counted in a short run of its own: strace takes time. Raises BenchError."""
    short = shortened(workload, SYNC_MESSAGES)
    with _folder(parent) as folder, _sink_for(short) as sink:
        trace = folder / "syncs"
        order = replace(_order(short, folder, sink), prefix=counting_syncs(trace))
        with _on_stage(side, order, sink) as stage:
            before = count_syncs(trace.read_bytes())
            tally = sink.tally
            send(short, stage.server.port)
            _wait_for(sink, tally.messages, tally.recipients, short)
            settled_cpu_seconds(stage.server.child.id)
            return (count_syncs(trace.read_bytes()) - before) / short.messages


def _order(workload: Workload, folder: Path, sink: Sink) -> Order:
    return Order(
        folder=folder,
        sink_port=sink.port,
        connections=workload.connections,
        is_far=workload.reply_delay > 0,
        retry=workload.retry,
        is_signed=workload.is_signed,
        prefix=slow_syncs(workload.sync_delay) if workload.sync_delay else (),
    )


@contextmanager
def _folder(parent: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mta-bench-", dir=parent) as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postfix's services run as users of their own
        yield folder


def _sink_for(workload: Workload) -> Sink:
    needs_our_own = (
        workload.recipients > 1  # smtp-sink does not count recipients,
        or workload.reply_delay > 0  # and is slow by whole seconds alone
        or workload.course is Course.DEFERRAL
    )
    if needs_our_own:
        return Exchanger(workload.reply_delay)
    return SmtpSink(connections=2 * workload.connections)


@contextmanager
def _on_stage(side: Side, order: Order, sink: Sink) -> Iterator[Stage]:
    """A server that is warm."""
    port = side.prepare(order)
    server = start(side, order, port)
    with server.child:
        warm_up(server, sink)
        yield Stage(side, order, server, sink)


def warm_up(server: Running, sink: Sink) -> None:
    """Send what is not measured. Raises BenchError."""
    before = sink.tally
    workload = Workload("", "", WARM_UP, octets=4 * KIB, is_kept=True)
    send(workload, server.port)
    _wait_for(sink, before.messages, before.recipients, workload)


def _wait_for(sink: Sink, messages: int, recipients: int, workload: Workload) -> float:
    """Wait until all of a workload is at the sink, beyond what was; gives the moment."""
    if isinstance(sink, Exchanger):
        return sink.wait_for(LIMIT, recipients=recipients + workload.units).last_at
    return sink.wait_for(LIMIT, messages=messages + workload.messages).last_at


def _load(workload: Workload, side: Side, order: Order, sink: Sink) -> Figures:
    with _on_stage(side, order, sink) as stage:
        return under_load(workload, stage.server, sink)


def under_load(workload: Workload, server: Running, sink: Sink) -> Figures:
    """Send all of it at full speed to a server that runs. Raises BenchError."""
    root = server.child.id
    cpu = settled_cpu_seconds(root)
    before = sink.tally
    with PeakMemory(root) as memory:
        began_at = time.monotonic()
        seconds = send(workload, server.port)
        last_at = _wait_for(sink, before.messages, before.recipients, workload)
    cpu = settled_cpu_seconds(root) - cpu
    return {
        "accepted": workload.units / seconds,
        "delivered": workload.units / (last_at - began_at),
        "cpu": cpu / workload.units * 1000,
        "memory": memory.octets / MB,
    }


def _latency(workload: Workload, side: Side, order: Order, sink: Sink) -> Figures:
    with _on_stage(side, order, sink) as stage:
        root = stage.server.child.id
        cpu = settled_cpu_seconds(root)
        before = sink.tally
        with PeakMemory(root) as memory:
            seconds = latencies(workload, stage.server.port)
            _wait_for(sink, before.messages, before.recipients, workload)
        cpu = settled_cpu_seconds(root) - cpu
        return {
            "p50": percentile(seconds, 0.5) * 1000,
            "p99": percentile(seconds, 0.99) * 1000,
            "cpu": cpu / workload.units * 1000,
            "memory": memory.octets / MB,
        }


def _deferral(workload: Workload, side: Side, order: Order, sink: Sink) -> Figures:
    assert isinstance(sink, Exchanger), "smtp-sink does not change its mind"
    port = side.prepare(order)
    sink.say("refuse")
    with start(side, order, port).child as child:
        seconds = send(workload, port)
        put_off_at = sink.wait_for(LIMIT, refused=workload.units).last_at
        settled_cpu_seconds(child.id)
        queued = pss(child.id)
    sink.say("accept")
    _sleep_until(put_off_at + workload.retry * MARGIN)
    began_at = time.monotonic()
    server = start(side, order, port)
    ready_at = time.monotonic()
    with server.child, PeakMemory(server.child.id) as memory:
        last_at = sink.wait_for(LIMIT, recipients=workload.units).last_at
        memory.look()
        cpu = settled_cpu_seconds(server.child.id)
    return {
        "accepted": workload.units / seconds,
        "ready": ready_at - began_at,
        "flushed": workload.units / (last_at - began_at),
        "cpu": cpu / workload.units * 1000,
        "queued": queued / MB,
        "memory": memory.octets / MB,
    }


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


_COURSES: dict[Course, Callable[[Workload, Side, Order, Sink], Figures]] = {
    Course.LOAD: _load,
    Course.LATENCY: _latency,
    Course.DEFERRAL: _deferral,
}
