"""Receivers on a network in which everything takes its time."""

import asyncio
from collections.abc import Mapping

from mta.model.domain import Answer, Finding, Host, Mx, TlsDemand
from mta.model.envelope import Letter
from mta.model.outcome import Outcome, Stage, broken, judge

from tests.flow.house import TLS, FakeSession, FakeWorld, Peer
from tests.simulation.receivers import OK, Receiver

TO_CONNECT = 0.1  # seconds, with TLS
TO_GIVE_UP = 8.0  # seconds that an address is waited for where there is another


class SimulatedSession(FakeSession):
    """A connection to a receiver."""

    def __init__(self, host: Host, receiver: Receiver) -> None:
        super().__init__(host, Peer(), TLS)
        self._receiver = receiver

    async def send(self, letter: Letter) -> tuple[Outcome, ...]:
        await asyncio.sleep(self._receiver.seconds)
        now = asyncio.get_running_loop().time()
        outcomes = []
        for recipient in letter.recipients:
            reply = self._receiver.hear(now, str(letter.sender), recipient)
            stage = Stage.CONTENT if reply is OK else Stage.RECIPIENT
            outcomes.append(judge(reply, stage, self.host, TLS))
            self.is_usable = self.is_usable and reply.code != 421
        return tuple(outcomes)


class SimulatedWorld(FakeWorld):
    """Domains that receivers serve, and whoever else `FakeWorld` has."""

    def __init__(
        self,
        peers: Mapping[str, Peer],
        hosts: Mapping[str, str],
        receivers: Mapping[str, Receiver],
    ) -> None:
        """`hosts` are the names of the receivers' hosts, by the domains that they serve."""
        super().__init__(peers)
        self._receivers = {hosts[domain]: receiver for domain, receiver in receivers.items()}
        for domain, host in hosts.items():
            self.mx_answers[domain] = Answer(Finding.RECORDS, (Mx(10, host),))

    async def addresses(self, name: str) -> Answer[str]:
        receiver = self._receivers.get(name)
        if receiver is None:
            return await super().addresses(name)
        found = ("2001:db8::1", "192.0.2.1") if receiver.hosts > 1 else ("192.0.2.1",)
        return Answer(Finding.RECORDS, found)

    async def open(self, host: Host, demand: TlsDemand) -> FakeSession | Outcome:
        receiver = self._receivers.get(host.name)
        if receiver is None:
            return await super().open(host, demand)
        if ":" in host.address:
            await asyncio.sleep(TO_GIVE_UP)
            return broken(Stage.CONNECT, host, "no answer", detail=1)
        await asyncio.sleep(TO_CONNECT)
        return SimulatedSession(host, receiver)
