"""Crashes at any moment, two hundred of them."""

import pytest

from mta.sandbox.process import ServerProcess
from tests.e2e.crash.siege import CLIENTS, SEED, Siege, check
from tests.e2e.sink import Sink
from tests.e2e.traffic import Traffic


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_hundred_crashes_lose_nothing(server: ServerProcess, sink: Sink) -> None:
    with Traffic(CLIENTS, SEED + 1) as traffic:
        siege = Siege(server, traffic, sink, SEED + 1)

        for _ in range(200):
            siege.round()

    siege.finish()
    check(siege)
