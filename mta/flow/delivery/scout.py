"""What a road looks like from here, without any mail: its hosts in order, and the TLS of each."""

import asyncio
from collections.abc import Sequence

from mta.model.domain import Host, TlsDemand, TlsFacts
from mta.model.outcome import Outcome, Stage, broken
from mta.model.request import NOTHING
from mta.model.value import value

from mta.flow.delivery.courier import Courier, Way


@value
class Sight:
    """What was seen at one stop of a way.

    `host` and `demand` are None where no host could be found. `outcome` is what keeps us from
    having a session there, None for nothing; `tls` is what protects the session, None for nothing.
    """

    host: Host | None = None
    demand: TlsDemand | None = None
    tls: TlsFacts | None = None
    outcome: Outcome | None = None


async def sights(courier: Courier, way: Way, limit: float) -> Sequence[Sight]:
    """Connect to each host that an attempt would try, greet, secure, log in, and say QUIT.

    In the order in which mail would try them; each takes at most `limit` seconds, and they are
    looked at together.
    """
    stops: list[tuple[Host, TlsDemand] | Outcome] = []
    async for stop in courier.stops(way, NOTHING):
        stops.append(stop)
        if sum(not isinstance(one, Outcome) for one in stops) == way.hosts_per_attempt:
            break
    return await asyncio.gather(*(_sight(courier, way, stop, limit) for stop in stops))


async def _sight(
    courier: Courier, way: Way, stop: tuple[Host, TlsDemand] | Outcome, limit: float
) -> Sight:
    if isinstance(stop, Outcome):
        return Sight(outcome=stop)
    host, demand = stop
    try:
        async with asyncio.timeout(limit):
            reached = await courier.open(way, host, demand, NOTHING)
            if isinstance(reached, Outcome):
                return Sight(host, demand, reached.tls, reached)
            await reached.close()
            return Sight(host, demand, reached.tls)
    except TimeoutError:
        return Sight(host, demand, outcome=broken(Stage.CONNECT, host, f"not done in {limit:g} s"))
