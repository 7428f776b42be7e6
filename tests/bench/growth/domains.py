"""The number of domains that mail goes to, each with an MX and a host of its own."""

import asyncio
import tempfile
import time
from pathlib import Path

from mta.sandbox.dns import DnsServer, Records
from tests.bench.children import HOST
from tests.bench.figures import Figures
from tests.bench.growth.curves import Column, Curve, Growth, Point
from tests.bench.meter import PeakMemory, settled_cpu_seconds
from tests.bench.ours import Ours
from tests.bench.servers import SENDER, Order, Running, start
from tests.bench.session import Session
from tests.bench.sinks import Exchanger
from tests.bench.trial import MB, WARM_UP
from tests.bench.workloads import KIB, LIMIT

DOMAINS = (1, 10, 100, 1000)
MESSAGES, QUICK_MESSAGES = 4000, 1000
SESSIONS = 20
LEAST_MEASURED = 100  # domains
WARM = "warm.test"

_LINE = b"x" * 78 + b"\r\n"


def curve() -> Curve:
    """An empty one."""
    return Curve(
        "domains",
        "4 KiB to each domain in turn, straight to its MX; names are not known before",
        "domains",
        (
            Column("delivered", "delivered/s"),
            Column("cpu", "CPU ms a message", 3),
            Column("cpu_one", "CPU ms to one domain", 3),
            Column("cpu_domain", "CPU ms that a domain adds", 2, Growth.CONSTANT),
            Column("memory", "peak memory, MB", 1, Growth.CONSTANT),
        ),
    )


def measure(count: int, parent: Path, *, is_quick: bool) -> Point:
    """One point. Raises BenchError."""
    messages = QUICK_MESSAGES if is_quick else MESSAGES
    with (
        tempfile.TemporaryDirectory(prefix="mta-bench-", dir=parent) as name,
        Exchanger() as sink,
    ):
        return Point(count, asyncio.run(_measure(count, messages, Path(name), sink)))


async def _measure(count: int, messages: int, folder: Path, sink: Exchanger) -> Figures:
    names = [f"d{number}.test" for number in range(count)]
    async with DnsServer(zone_of([*names, WARM])) as dns:
        order = Order(folder, sink.port, connections=20)
        side = Ours(_straight(sink.port, dns.address))
        port = side.prepare(order)
        server = await asyncio.to_thread(start, side, order, port)
        with server.child:
            await _send(port, [WARM] * WARM_UP)
            await asyncio.to_thread(sink.wait_for, LIMIT, recipients=WARM_UP)
            one = await _under_load([WARM] * messages, server, sink)
            to = [names[number % count] for number in range(messages)]
            return with_costs(await _under_load(to, server, sink), one, messages, count)


async def _under_load(to: list[str], server: Running, sink: Exchanger) -> Figures:
    root = server.child.id
    cpu = await asyncio.to_thread(settled_cpu_seconds, root)
    before = sink.tally
    with PeakMemory(root) as memory:
        began_at = time.monotonic()
        await _send(server.port, to)
        expected = before.recipients + len(to)
        tally = await asyncio.to_thread(sink.wait_for, LIMIT, recipients=expected)
    cpu = await asyncio.to_thread(settled_cpu_seconds, root) - cpu
    return {
        "delivered": len(to) / (tally.last_at - began_at),
        "cpu": cpu / len(to) * 1000,
        "memory": memory.octets / MB,
    }


def with_costs(many: Figures, one: Figures, messages: int, count: int) -> Figures:
    """The figures to many domains, and what each of them adds to the cost of as much for one.

    A few domains add less than can be measured.
    """
    added = {"cpu_domain": (many["cpu"] - one["cpu"]) * messages / count}
    return {**many, "cpu_one": one["cpu"], **(added if count >= LEAST_MEASURED else {})}


def zone_of(names: list[str]) -> dict[str, Records]:
    """Each domain with its MX, and that with its address, which is the same for all."""
    zone = {name: Records(mx=((10, f"mx.{name}"),)) for name in names}
    return zone | {f"mx.{name}": Records(a=(HOST,)) for name in names}


def _straight(port: int, nameserver: tuple[str, int]) -> dict[str, object]:
    """Settings for the road straight to the sink, which stands for all exchangers."""
    host, dns_port = nameserver
    return {
        "delivery": {
            "mode": "direct",
            "smarthost": None,
            "port": port,
            "private_addresses": True,
        },
        "dns": {"nameservers": [f"{host}:{dns_port}"]},
    }


async def _send(port: int, to: list[str]) -> None:
    """One message to each of these domains, over a few sessions. Raises what a Session raises."""
    left = iter(to)
    head = f"From: <{SENDER}>\r\nSubject: growth\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n\r\n"
    content = head.encode() + _LINE * (4 * KIB // len(_LINE))

    async def send_on() -> None:
        session = await Session.open(port)
        for domain in left:
            await session.send(SENDER, [f"user@{domain}"], content)
        await session.close()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(SESSIONS):
            tasks.create_task(send_on())
