"""`mta sandbox`, as a person or a program starts it."""

import json
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e import letters

COMMAND = (sys.executable, "-m", "mta", "sandbox")


@contextmanager
def sandbox(folder: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    command = [*COMMAND, "--folder", str(folder), "--port", "0", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)


def lines(process: "subprocess.Popen[str]") -> Iterator[str]:
    assert process.stdout is not None
    return iter(process.stdout.readline, "")


def test_a_message_to_the_sandbox_is_told_of_and_kept(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--json") as process:
        guide = json.loads(next(lines(process)))
        with smtplib.SMTP("127.0.0.1", guide["port"], timeout=20) as client:
            client.sendmail(letters.SENDER, ["b@clear.test"], letters.plain("b@clear.test"))
        told = [
            json.loads(line)["event"] for _, line in zip(range(3), lines(process), strict=False)
        ]

    assert told == ["accepted", "delivered", "settled"]
    assert (tmp_path / "mail" / "clear.test" / "001.eml").exists()
    assert process.returncode == 0


def test_a_person_is_told_who_lives_there_and_how_to_write_to_them(tmp_path: Path) -> None:
    with sandbox(tmp_path) as process:
        guide = []
        for line in lines(process):
            guide.append(line)
            if "Ctrl-C" in line:
                break

    told = "".join(guide)
    assert "anna@grey.test" in told
    assert "greylists, then accepts" in told
    assert "curl -sS smtp://127.0.0.1:" in told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_server_with_the_sandbox(tmp_path: Path, number: signal.Signals) -> None:
    with sandbox(tmp_path, "--json") as process:
        port = json.loads(next(lines(process)))["port"]

        process.send_signal(number)

        assert process.wait(timeout=20) == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_port_that_is_taken_ends_it_with_the_reason(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        done = subprocess.run(
            [*COMMAND, "--folder", str(tmp_path), "--port", str(port)],
            capture_output=True,
            timeout=30,
            check=False,
        )

    assert done.returncode == 1
    assert f"127.0.0.1:{port}".encode() in done.stderr
