"""The road to nowhere: what takes it is gone, and an event says so."""

from collections.abc import Sequence

from mta.model.address import Address
from mta.model.domain import Host, TlsDemand
from mta.model.envelope import Letter
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict

PLACE = "discard"


class Discard:
    """Opens sessions that take everything and keep nothing. Nobody is told of a success."""

    async def open(self, host: Host, demand: TlsDemand) -> "DiscardSession":
        """See `Connector`; always to be had."""
        del demand
        return DiscardSession(host)


class DiscardSession:
    """Takes everything."""

    tls = None
    is_usable = True
    has_limits = False

    def __init__(self, host: Host) -> None:
        self.host = host
        self._outcome = Outcome(
            Verdict.DELIVERED,
            Reply(250, "discarded, as the settings say"),
            Stage.CONTENT,
            Scope.MESSAGE,
            host,
            peer_reports=True,
            peer_keeps_deadline=True,
            is_discarded=True,
        )

    def within_limits(self, places: Sequence[int], recipients: Sequence[Address]) -> list[int]:
        """See `Session`; there are none."""
        del recipients
        return list(places)

    async def send(self, letter: Letter) -> tuple[Outcome, ...]:
        """See `Session`."""
        return (self._outcome,) * len(letter.recipients)

    async def close(self) -> None:
        """See `Session`."""
