"""Load: Postfix's smtp-source for speed, and a client of our own for latency."""

import socket
import time
from collections.abc import Iterator

from tests.bench.children import HOST, BenchError, run_to_end
from tests.bench.servers import RECIPIENT, SENDER
from tests.bench.workloads import LIMIT, Workload

_LINE = b"x" * 78 + b"\r\n"


def send(workload: Workload, port: int) -> float:
    """Send all of a workload; gives the seconds until the last 250. Raises BenchError."""
    return run_to_end(source_command(workload, port), LIMIT)


def source_command(workload: Workload, port: int) -> list[str]:
    """How smtp-source is called for a workload."""
    return [
        "smtp-source",
        *("-m", str(workload.messages)),
        *("-s", str(min(workload.sessions, workload.messages))),
        *("-l", str(workload.octets)),
        *("-r", str(workload.recipients)),
        *(("-d",) if workload.is_kept else ()),
        *("-f", SENDER),
        *("-t", RECIPIENT),
        f"{HOST}:{port}",
    ]


def latencies(workload: Workload, port: int) -> list[float]:
    """Seconds from the final dot to its reply, one for each message of one session, in order.

    The client waits for every reply, as most applications do. Raises BenchError.
    """
    with socket.create_connection((HOST, port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _expect(connection, b"", b"220")
        _expect(connection, b"EHLO client.test\r\n", b"250")
        return list(_timed(connection, workload))


def _timed(connection: socket.socket, workload: Workload) -> Iterator[float]:
    body = _LINE * (workload.octets // len(_LINE))
    head = f"From: <{SENDER}>\r\nTo: <{RECIPIENT}>\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
    for number in range(workload.messages):
        _expect(connection, f"MAIL FROM:<{SENDER}>\r\n".encode(), b"250")
        _expect(connection, f"RCPT TO:<{RECIPIENT}>\r\n".encode(), b"250")
        _expect(connection, b"DATA\r\n", b"354")
        connection.sendall(f"{head}Message-ID: <{number}@app.test>\r\n\r\n".encode() + body)
        began_at = time.perf_counter()
        _expect(connection, b".\r\n", b"250")
        yield time.perf_counter() - began_at


def _expect(connection: socket.socket, command: bytes, code: bytes) -> None:
    connection.sendall(command)
    reply = connection.recv(4096)
    while not _is_whole(reply):
        more = connection.recv(4096)
        if not more:
            break
        reply += more
    if not reply.startswith(code):
        raise BenchError(f"expected {code!r} to {command!r}, found {reply[:200]!r}")


def _is_whole(reply: bytes) -> bool:
    """Whether the last line is there; it has a blank after its code (RFC 5321 §4.2.1)."""
    return reply.endswith(b"\r\n") and reply[:-2].rpartition(b"\r\n")[2][3:4] != b"-"
