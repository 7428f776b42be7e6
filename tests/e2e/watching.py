"""What end-to-end tests ask of a server that runs."""

import time
from collections.abc import Callable
from pathlib import Path

from mta.sandbox.process import ServerProcess


def workers_of(server: ServerProcess) -> list[int]:
    """The processes below it, as Linux knows them."""
    parent = server._running.pid
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(id) for id in listed.split()]


def wait_until(is_so: Callable[[], bool], within: float = 20.0) -> None:
    """Wait for what nothing tells us of."""
    ends_at = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < ends_at, f"not so after {within} s"
        time.sleep(0.1)
