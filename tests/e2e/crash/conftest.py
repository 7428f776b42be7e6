"""A sink for all mail, and a server of its own for each test."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mta.sandbox.process import ServerProcess
from tests.e2e.crash.siege import SEED
from tests.e2e.sink import Sink
from tests.e2e.traffic import DOMAINS, SENDER_DOMAIN


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink((*DOMAINS, SENDER_DOMAIN), SEED) as sink:
        yield sink


@pytest.fixture
def server(sink: Sink, tmp_path: Path) -> Iterator[ServerProcess]:
    with closing(ServerProcess(sink.settings(tmp_path / "spool"), tmp_path)) as process:
        yield process
