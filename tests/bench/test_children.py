"""Children, and what they leave behind: nothing."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.bench.children import (
    HOST,
    BenchError,
    Child,
    HeldPort,
    free_port,
    greets,
    run_to_end,
    wait_until,
)

STUBBORN = (
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
)
WITH_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STUBBORN!r}])"


def is_group_left(id: int) -> bool:
    try:
        os.killpg(id, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_child_ends_with_all_that_it_started_whether_they_want_or_not(tmp_path: Path) -> None:
    output = tmp_path / "output"
    child = Child([sys.executable, "-c", WITH_CHILD], output)
    wait_until(lambda: output.read_bytes() != b"", 20, "the grandchild")

    child.end(within=0.3)

    wait_until(lambda: not is_group_left(child.id), 20, "the end of the grandchild")
    assert not child.is_running()


def test_a_wait_in_vain_says_for_what() -> None:
    with pytest.raises(BenchError, match="in vain for the moon"):
        wait_until(lambda: False, 0, "the moon")


def test_a_program_that_fails_is_an_error_with_its_words() -> None:
    with pytest.raises(BenchError, match="no luck"):
        run_to_end([sys.executable, "-c", "raise SystemExit('no luck')"], 20)


def test_a_program_that_takes_too_long_is_an_error() -> None:
    with pytest.raises(BenchError, match="did not end"):
        run_to_end([sys.executable, "-c", "import time; time.sleep(60)"], 0.1)


def test_nobody_greets_on_a_free_port() -> None:
    assert not greets(free_port())


def test_a_child_hears_a_signal_once_and_its_end_has_a_status(tmp_path: Path) -> None:
    once = "import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); print(1, flush=True); "
    output = tmp_path / "output"
    with Child([sys.executable, "-c", once + "signal.pause()"], output) as child:
        wait_until(lambda: output.read_bytes() != b"", 20, "its handler")

        child.tell(signal.SIGTERM)

        assert child.ended(20) == 7


def test_a_child_that_does_not_end_is_an_error(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with Child(command, tmp_path / "output") as child, pytest.raises(BenchError, match="not end"):
        child.ended(0.1)


def test_a_held_port_refuses_until_somebody_listens_and_again_when_he_has_gone() -> None:
    held = HeldPort()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, held.number), timeout=20)

    with socket.create_server((HOST, held.number)):
        socket.create_connection((HOST, held.number), timeout=20).close()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, held.number), timeout=20)
    held.close()
