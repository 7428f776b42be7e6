"""The process is killed at any moment: what it said 250 to arrives or is reported, whole.

Clients send without end while `mta serve` is killed (SIGKILL) and started again. Then it may
finish, and everything is counted.
"""

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

from mta.edge.spool.inspection import inspect
from mta.edge.spool.survey import QUARANTINE

from mta.processes.share import spools_in
from mta.sandbox.loopback import SandboxError
from mta.sandbox.process import ServerProcess
from tests.e2e.evidence import harmed, lateness, lost, misguided, needless, repeats, undead
from tests.e2e.sink import Sink
from tests.e2e.traffic import Traffic
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


def check(siege: Siege) -> None:
    """Whether all of that holds, with the counts printed."""
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
