"""The process is killed at any moment: what it said 250 to arrives or is reported, whole.

Clients send without end while `mta serve` is killed (SIGKILL) and started again. Then it may
finish, and everything is counted.
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from mta.edge.spool.inspection import inspect
from mta.edge.spool.survey import QUARANTINE, WAITING

from mta.processes.share import spools_in
from mta.sandbox.loopback import SandboxError
from mta.sandbox.process import ServerProcess
from tests.e2e.evidence import harmed, lateness, lost, misguided, needless, repeats, undead
from tests.e2e.sink import Sink
from tests.e2e.traffic import DOMAINS, SENDER_DOMAIN, Traffic
from tests.e2e.watching import wait_until, workers_of

SEED = 20261121
CLIENTS = 4


class Siege:
    """One server, the clients that send to it, and the moments at which it was killed."""

    def __init__(self, server: ServerProcess, traffic: Traffic, sink: Sink, seed: int) -> None:
        self.server = server
        self.traffic = traffic
        self.sink = sink
        self.kills: list[float] = []
        self.starts: list[float] = []  # how long each took, in seconds
        self._chance = random.Random(seed)

    def round(self) -> None:
        """One life of the server, and its end."""
        fate = self._chance.random()
        if self._is_many and self._chance.random() < 0.5:
            self._lose_a_worker()
            return
        if fate < 0.1:
            self._die_young()
        elif fate < 0.8:
            self._live(self._chance.uniform(0.005, 0.6))
        elif fate < 0.9:
            self._die_while_stopping()
        else:
            self._live(self._chance.uniform(1.0, 1.8))  # now and then its upkeep has a turn

    def start(self) -> None:
        """Begin a life."""
        began = time.monotonic()
        self.server.start()
        self.starts.append(time.monotonic() - began)
        self.traffic.begin(self.server.port)

    def kill(self) -> None:
        """End it."""
        self.kills.append(time.time())
        self.server.kill()
        self.traffic.pause()

    def stop(self) -> None:
        """End it in good order, with the clients at it to the last."""
        assert self.server.stop() == 0
        self.traffic.pause()

    def wait_for_messages(self, count: int) -> None:
        """Go on until this many were sent."""
        wait_until(lambda: len(self.traffic.sent) > count, within=60)

    def finish(self, within: float = 60.0) -> None:
        """Let one more life end well, with everything done that was to be done."""
        self.server.start()
        wait_until(lambda: not any(map(inspect, spools_in(self.spool))), within)
        assert self.server.stop() == 0

    @property
    def spool(self) -> Path:
        """The folder."""
        return Path(self.server.settings["spool"])

    @property
    def _is_many(self) -> bool:
        return bool(self.server.settings.get("processes", 1) > 1)

    def _lose_a_worker(self) -> None:
        """One process of several ends, the others go on, and it comes back."""
        self.start()
        for _ in range(2):
            time.sleep(self._chance.uniform(0.05, 0.6))
            self.kills.append(time.time())
            workers = workers_of(self.server)
            if workers:  # else both are on their way up again
                os.kill(self._chance.choice(workers), signal.SIGKILL)
        time.sleep(self._chance.uniform(0, 1.5))
        self.kill()

    def _live(self, seconds: float) -> None:
        self.start()
        time.sleep(seconds)  # until a moment of chance; nothing is waited for
        self.kill()

    def _die_young(self) -> None:
        """Be killed while starting, perhaps in the middle of recovery."""
        with suppress(SandboxError):  # it does not come as far as that
            self.server.start(within=self._chance.uniform(0.05, 0.5))
        self.kill()

    def _die_while_stopping(self) -> None:
        self.start()
        time.sleep(self._chance.uniform(0.1, 0.4))
        self.server._running.terminate()
        time.sleep(self._chance.uniform(0, 0.1))
        self.kill()


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink((*DOMAINS, SENDER_DOMAIN), SEED) as sink:
        yield sink


@pytest.fixture
def server(sink: Sink, tmp_path: Path) -> Iterator[ServerProcess]:
    with closing(ServerProcess(sink.settings(tmp_path / "spool"), tmp_path)) as process:
        yield process


def check(siege: Siege) -> None:
    """All of the above, with the counts printed."""
    sent, sink, kills = siege.traffic.sent, siege.sink, siege.kills
    accepted = [message for message in sent if message.id is not None]
    again = [first for first, _ in repeats(sink.mail)]
    late = [lateness(first, kills) for first in again]
    large = sum(message.is_large for message in accepted)
    print(f"\nkills {len(kills)}, messages begun {len(sent)}, ", end="")
    print(f"accepted {len(accepted)}, {large} of them with a file from the start")
    print(
        f"delivered {len({c.test_id for c in sink.mail})}, repeats {len(again)}, of which ", end=""
    )
    print(f"{sum(first.was_cut for first in again)} were cut off before our reply, ", end="")
    print(f"latest kill after a reply that was not recorded: {max(late, default=0):.3f} s")
    print(f"reported {len({c.test_id for c in sink.reports})}, ", end="")
    print(f"repeats of reports {len(repeats(sink.reports))}; at the sink: {dict(sink.counts)}")
    print(f"start: median {sorted(siege.starts)[len(siege.starts) // 2]:.2f} s, ", end="")
    print(f"longest {max(siege.starts):.2f} s")

    assert siege.traffic.refusals == []
    assert lost(sent, sink) == []
    assert harmed(sent, sink) == []
    assert misguided(sent, sink) == []
    assert needless(sink.mail, kills) == []
    assert needless(sink.reports, kills) == []
    assert undead(siege.server.events, sink.mail + sink.reports) == []
    for spool in spools_in(siege.spool):
        assert list((spool / QUARANTINE).iterdir()) == []


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
def test_two_hundred_crashes_lose_nothing(server: ServerProcess, sink: Sink) -> None:
    with Traffic(CLIENTS, SEED + 1) as traffic:
        siege = Siege(server, traffic, sink, SEED + 1)

        for _ in range(200):
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
