"""Several processes as one server: they share ports and limits, and any of them may end."""

import os
import signal
import smtplib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from mta.edge.spool.inspection import inspect

from mta.cli import main
from mta.processes.share import spools_in
from mta.sandbox.internet import Internet
from mta.sandbox.loopback import SandboxError
from mta.sandbox.process import ServerProcess
from tests.e2e import letters
from tests.e2e.watching import wait_until, workers_of


def send(server: ServerProcess, recipient: str, count: int = 1) -> None:
    """Send messages, each over a connection of its own: the kernel deals them out.

    "{}" in a recipient stands for the message's number.
    """
    for number in range(count):
        to = recipient.format(number)
        with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
            client.sendmail(letters.SENDER, [to], letters.plain(to))


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def queued(server: ServerProcess) -> list[int]:
    """How many messages each process has."""
    return [len(inspect(spool)) for spool in spools_in(Path(server.settings["spool"]))]


class Exchanger:
    """Takes all mail, slowly, and counts how many are connected at once."""

    def __init__(self) -> None:
        self.most = 0
        self.messages = 0
        self._open = 0
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self._socket.getsockname()[1]

    @contextmanager
    def running(self) -> Iterator[Self]:
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self._open += 1
            self.most = max(self.most, self._open)
        with suppress(OSError), connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 slow\r\n")
            is_content = False
            for line in lines:
                if is_content and line != b".\r\n":
                    continue
                if is_content:
                    time.sleep(0.01)
                    self.messages += 1
                is_content = line.upper().startswith(b"DATA")
                connection.sendall(b"354 go\r\n" if is_content else b"250 OK\r\n")
                if line.upper().startswith(b"QUIT"):
                    break
        with self._lock:
            self._open -= 1


@pytest.fixture
def pair(own: ServerProcess) -> ServerProcess:
    own.settings["processes"] = 2
    return own


def test_all_of_them_take_mail_and_deliver_it(pair: ServerProcess, internet: Internet) -> None:
    pair.start()
    pair.says(r"ready: .*, 2 processes")
    send(pair, "both@accept.test", count=20)

    assert len(pair.events_with(20, event="settled")) == 20
    assert pair.stop() == 0

    assert len(internet.received_by("accept.test", "both@accept.test")) == 20
    journals = [spool / "journal" for spool in spools_in(Path(pair.settings["spool"]))]
    assert len(journals) == 2
    assert all(list(journal.iterdir()) for journal in journals)


def test_the_limit_of_a_destination_holds_for_all_together(pair: ServerProcess) -> None:
    with Exchanger().running() as exchanger:
        smarthost = {"host": "127.0.0.1", "port": exchanger.port, "tls": "none"}
        pair.settings["delivery"] |= {
            "mode": "smarthost",
            "smarthost": smarthost,
            "per_destination": 3,
            "linger": "200ms",
        }
        pair.start()
        with ThreadPoolExecutor(8) as pool:
            for _ in range(8):
                pool.submit(send, pair, "many@accept.test", 20)

        pair.events_with(160, event="settled")

        assert exchanger.messages == 160
        assert exchanger.most == 3
        assert pair.stop() == 0


def test_one_that_is_killed_comes_back_and_loses_nothing(
    pair: ServerProcess, internet: Internet
) -> None:
    pair.settings["delivery"]["retry"] = ["2s"]
    pair.start()
    send(pair, "again{}@grey.test", count=10)
    for worker in workers_of(pair):
        os.kill(worker, signal.SIGKILL)

    pair.says(r"process 1 ended \(status -9\), and is started again")
    pair.says(r"process 2 ended \(status -9\), and is started again")
    pair.events_with(10, event="settled")

    assert pair.stop() == 0
    for number in range(10):
        assert internet.received_by("grey.test", f"again{number}@grey.test")


def test_none_outlives_the_supervisor(pair: ServerProcess) -> None:
    pair.start()
    workers = workers_of(pair)
    assert len(workers) == 2

    pair.kill()

    wait_until(lambda: not any(map(is_running, workers)))
    pair.start()
    assert pair.stop() == 0


def test_a_reload_reaches_all(pair: ServerProcess) -> None:
    pair.start()
    pair.settings["senders"] = ["elsewhere.test"]

    pair.reload()
    pair.says("reloaded")

    def is_refused() -> bool:
        try:
            send(pair, "bob@accept.test")
        except smtplib.SMTPSenderRefused:
            return True
        return False

    wait_until(lambda: all(is_refused() for _ in range(10)))
    pair.settings["senders"] = ["not a domain"]
    pair.reload()
    pair.says("not reloaded, the old settings stay in force: senders")
    assert pair.stop() == 0


def test_a_port_that_is_taken_is_named_and_nothing_is_left(pair: ServerProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = f"127.0.0.1:{other.getsockname()[1]}"
        pair.settings["listen"] = [{"address": place}]

        with pytest.raises(SandboxError, match="another program listens there"):
            pair.start()

        assert pair.ended() == 1


def test_a_spool_in_use_ends_all(pair: ServerProcess, tmp_path: Path) -> None:
    pair.start()
    folder = tmp_path / "second"
    folder.mkdir()
    second = ServerProcess(pair.settings | {"listen": [{"address": "127.0.0.1:0"}]}, folder)

    with pytest.raises(SandboxError, match="is in use by process"):
        second.start()

    assert second.ended() == 1
    assert pair.stop() == 0


def test_fewer_processes_take_over_what_the_others_left(
    pair: ServerProcess, internet: Internet
) -> None:
    pair.settings["delivery"] |= {"retry": ["1h"], "give_up_after": "1d"}
    pair.start()
    send(pair, "heirs{}@grey.test", count=20)
    pair.events_with(20, event="deferred")
    assert pair.stop() == 0
    first, second = queued(pair)
    assert first + second == 20
    assert second > 0

    pair.settings["processes"] = 1
    pair.start()
    pair.says(f"taking over {second} messages from .*process-2")

    assert queued(pair) == [20]
    assert pair.stop() == 0


def test_mail_in_all_spools_is_listed(
    pair: ServerProcess, capfd: pytest.CaptureFixture[str]
) -> None:

    pair.settings["delivery"] |= {"retry": ["1h"], "give_up_after": "1d"}
    pair.start()
    send(pair, "listed{}@grey.test", count=20)
    pair.events_with(20, event="deferred")
    assert all(queued(pair))

    status = main(["queue", "list", "--config", str(pair.config)])

    assert status == 0
    assert "20 messages" in capfd.readouterr().out
    assert pair.stop() == 0
