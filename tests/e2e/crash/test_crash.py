"""A few crashes, in the worst of places, and stops in good order; and that the proof is one."""

import random
import shutil
from pathlib import Path

import pytest

from mta.edge.spool.inspection import inspect
from mta.edge.spool.survey import WAITING

from mta.sandbox.process import ServerProcess
from tests.e2e.crash.siege import CLIENTS, SEED, Siege, check
from tests.e2e.evidence import lost, needless, repeats, undead
from tests.e2e.sink import Sink
from tests.e2e.traffic import Traffic
from tests.e2e.watching import wait_until


@pytest.mark.timeout(300)
@pytest.mark.parametrize("processes", [1, 2])
def test_ten_crashes_lose_nothing(server: ServerProcess, sink: Sink, processes: int) -> None:
    server.settings["processes"] = processes
    with Traffic(CLIENTS, SEED) as traffic:
        siege = Siege(server, traffic, sink, SEED)

        for _ in range(10):
            siege.round()

    siege.finish()
    check(siege)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_crashes_of_several_processes_lose_nothing(
    server: ServerProcess, sink: Sink
) -> None:
    """Of a worker, of the supervisor, of all; and now and then there are more or fewer."""
    chance = random.Random(SEED)
    with Traffic(CLIENTS, SEED + 4) as traffic:
        siege = Siege(server, traffic, sink, SEED + 4)

        for _ in range(20):
            server.settings["processes"] = chance.choice([1, 2, 2, 3])
            siege.round()

    siege.finish()
    check(siege)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_crash_while_a_segment_is_retired_loses_nothing(
    server: ServerProcess, sink: Sink
) -> None:
    """A segment is retired after a minute: its mail moves to files, and then the crash comes."""
    sink.is_shut = True
    server.settings["delivery"]["retry"] = ["10s"]
    with Traffic(CLIENTS, SEED + 2) as traffic:
        siege = Siege(server, traffic, sink, SEED + 2)
        siege.start()
        siege.wait_for_messages(1500)
        traffic.pause()
        waiting = siege.spool / WAITING
        wait_until(lambda: len(list(waiting.glob("*/*.msg"))) > 100, within=90)

        siege.kill()

        moved = len(list(waiting.glob("*/*.msg")))
        left = len(inspect(siege.spool)) - moved
        for _ in range(5):
            siege.round()

    sink.is_shut = False
    siege.finish()
    print(f"\nmoved to files {moved}, still in the journal alone {left}")
    check(siege)
    assert left > 0


def test_stops_in_good_order_lose_and_repeat_nothing(server: ServerProcess, sink: Sink) -> None:
    with Traffic(CLIENTS, SEED + 3) as traffic:
        siege = Siege(server, traffic, sink, SEED + 3)

        for count in (100, 200, 300):
            siege.start()
            siege.wait_for_messages(count)
            siege.stop()

    siege.finish()
    check(siege)
    assert repeats(sink.mail + sink.reports) == []


@pytest.fixture
def crashed(server: ServerProcess, sink: Sink) -> Siege:
    """A server that was killed with mail in its spool, none of which has been delivered."""
    sink.is_shut = True
    with Traffic(2, SEED, kinds=["later"]) as traffic:
        siege = Siege(server, traffic, sink, SEED)
        siege.start()
        siege.wait_for_messages(20)
        siege.kill()
    sink.is_shut = False
    return siege


def test_the_proof_notices_what_is_lost(crashed: Siege, sink: Sink) -> None:
    shutil.rmtree(crashed.spool)

    crashed.finish()

    assert lost(crashed.traffic.sent, sink) != []


def test_the_proof_notices_what_is_sent_again_for_no_reason(
    crashed: Siege, sink: Sink, tmp_path: Path
) -> None:
    shutil.copytree(crashed.spool, tmp_path / "before")
    crashed.finish()
    shutil.rmtree(crashed.spool)
    (tmp_path / "before").rename(crashed.spool)

    crashed.finish()

    assert lost(crashed.traffic.sent, sink) == []
    assert needless(sink.mail, crashed.kills) != []
    assert undead(crashed.server.events, sink.mail) != []
