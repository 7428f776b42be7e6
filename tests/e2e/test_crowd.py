"""Clients that say nothing: each costs a descriptor and little memory, and mail flows past them."""

import resource
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from mta.edge.descriptors import raise_limit

from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e import letters
from tests.e2e.watching import wait_until

pytestmark = pytest.mark.slow

KIB = 1024
ANY_CERTIFICATE = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
ANY_CERTIFICATE.check_hostname, ANY_CERTIFICATE.verify_mode = False, ssl.CERT_NONE

Visit = Callable[[int], socket.socket]


def resident(server: ServerProcess) -> int:
    """Octets of memory that the server has."""
    status = Path(f"/proc/{server._running.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * KIB


def descriptors(server: ServerProcess) -> int:
    return len(list(Path(f"/proc/{server._running.pid}/fd").iterdir()))


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def greeted(port: int) -> socket.socket:
    visitor = connected(port)
    assert visitor.recv(100)[:4] == b"220 "
    return visitor


def stopped_in_a_handshake(port: int) -> socket.socket:
    visitor = greeted(port)
    visitor.sendall(b"STARTTLS\r\n")
    assert visitor.recv(100)[:4] == b"220 "
    return visitor


def under_tls(port: int) -> socket.socket:
    visitor = ANY_CERTIFICATE.wrap_socket(connected(port))
    assert visitor.recv(100)[:4] == b"220 "
    return visitor


def halfway_through_a_command(port: int) -> socket.socket:
    visitor = greeted(port)
    visitor.sendall(b"MAIL FROM:<" + b"x" * 1_000)
    return visitor


@pytest.fixture(autouse=True)
def _many_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if raise_limit() < 5_000:
        pytest.skip("needs 5,000 descriptors")
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("visit", "tls", "count", "most"),
    [
        (greeted, "none", 2_000, 8 * KIB),
        (halfway_through_a_command, "none", 2_000, 8 * KIB),
        (connected, "implicit", 1_000, 64 * KIB),
        (stopped_in_a_handshake, "starttls", 1_000, 64 * KIB),
        (under_tls, "implicit", 1_000, 64 * KIB),
    ],
)
def test_a_silent_client_costs_a_descriptor_and_little_memory(
    visit: Visit, tls: str, count: int, most: int, own: ServerProcess, internet: Internet
) -> None:
    own.settings["limits"] = {"connections": 3_000, "connections_per_client": 3_000}
    own.settings["listen"] = [
        {"address": "127.0.0.1:0"},
        {"address": "127.0.0.1:0", "tls": tls},
    ]
    own.start()
    crowded = int(own.says("ready:").split("127.0.0.1:")[2].partition(",")[0])
    with visit(crowded):  # what is loaded for the first is no cost of the others
        memory, files = resident(own), descriptors(own)

    with ExitStack() as crowd:
        lock = threading.Lock()

        def come(_: int) -> None:
            visitor = visit(crowded)
            with lock:
                crowd.enter_context(visitor)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(come, range(count)))
        wait_until(lambda: descriptors(own) > files + count - 20)  # a file may be open at times
        each = (resident(own) - memory) / count
        print(f"{visit.__name__}: {each / KIB:.1f} KiB each of {count}")

        recipient = f"{visit.__name__}@accept.test"
        with smtplib.SMTP("127.0.0.1", own.port, timeout=20) as client:
            client.sendmail(letters.SENDER, [recipient], letters.plain(recipient))
        internet.mail_to(recipient)
        assert descriptors(own) < files + count + 20
        assert each < most

    wait_until(lambda: descriptors(own) < files + 20)
    assert own.stop() == 0
