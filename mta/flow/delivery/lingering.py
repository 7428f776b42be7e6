"""Connections that are kept a moment without mail: more for the same place often follows soon."""

import asyncio

from mta.model.envelope import Consignment

from mta.flow.delivery.lane import Lane, Waiter


class Lingering:
    """The trips that wait for mail, those that have waited longest first."""

    def __init__(self) -> None:
        self._waiters: dict[Waiter, Lane] = {}

    def __len__(self) -> int:
        return len(self._waiters)

    async def wait(self, lane: Lane, seconds: float) -> Consignment | None:
        """The next mail for a lane; None where none comes in that time, or the room is needed."""
        loop = asyncio.get_running_loop()
        waiter: Waiter = loop.create_future()
        lane.lingering.append(waiter)
        self._waiters[waiter] = lane
        timer = loop.call_later(seconds, self.end, waiter)
        try:
            return await waiter
        finally:
            timer.cancel()

    def end(self, waiter: Waiter, consignment: Consignment | None = None) -> None:
        """Wake the trip that waits: with mail, or to let go of its connection."""
        lane = self._waiters.pop(waiter, None)
        if lane is not None:
            lane.lingering.remove(waiter)
            waiter.set_result(consignment)

    def end_some(self, count: int) -> None:
        """Let go of so many connections, those that have waited longest."""
        for waiter in list(self._waiters)[:count]:
            self.end(waiter)
