"""Who goes when: what is due, lanes with room, fair between destinations.

Each destination has a lane. Mail that is due waits in its lane, mail for later in one heap.
`start_due` is one deterministic step; `run` is that step for ever. A trip is one task that
carries a lane's mail over one connection while there is any; it needs a slot, which is granted
to all processes from one place.
"""

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import count
from math import inf
from typing import Any

from mta.model.envelope import Consignment, Destination, Envelope, Reason
from mta.model.outcome import Outcome
from mta.model.pace import Throttle, Trouble
from mta.model.trouble import SpoolError

from mta.rules.delivery.breaker import after_outcomes
from mta.rules.pacing.feedback import trouble_in

from mta.flow.delivery.courier import Courier
from mta.flow.delivery.detours import Detours
from mta.flow.delivery.hindrances import Hindrances
from mta.flow.delivery.hurry import Hurry
from mta.flow.delivery.lane import Lane
from mta.flow.delivery.lingering import Lingering
from mta.flow.delivery.precedence import Precedence
from mta.flow.delivery.search import Search
from mta.flow.delivery.settlement import Settlement
from mta.flow.delivery.sites import Sites
from mta.flow.delivery.slots import Room
from mta.flow.delivery.throttles import Throttles
from mta.flow.delivery.trip import Trip, letter_for, unreadable
from mta.flow.ports import Clock, SlotKeeper, Spool

log = logging.getLogger(__name__)

MAX_IDLE_LANES = 10_000  # past which what is known of idle destinations is let go
NEXT_LOOK = 1.0  # seconds until a spool that cannot write is looked at again
RELIEF_INTERVAL = 60.0  # seconds between looks at what slow sites keep waiting
AFTER_A_BUG = 300.0  # seconds until mail is tried again whose attempt ended in an exception


class Dispatcher:
    """Starts trips for what is due, within the room there is."""

    def __init__(
        self,
        *,
        room: Room,
        slots: SlotKeeper,
        spool: Spool,
        settlement: Settlement,
        courier_to: Callable[[Destination], Courier],
        detours: Detours,
        sites: Sites,
        throttles: Throttles,
        clock: Clock,
    ) -> None:
        self.room = room
        self._slots = slots
        self._spool = spool
        self._settlement = settlement
        self._courier_to = courier_to
        self._detours = detours
        self._sites = sites
        self._hindrances = Hindrances(
            settlement=settlement, detours=detours, throttles=throttles, sites=sites, clock=clock
        )
        self._throttles = throttles
        self._clock = clock
        self._lanes: dict[Destination, Lane] = {}
        self._turns: deque[Lane] = deque()  # lanes that want another trip, next one first
        self._search = Search(sites=sites, on_found=self._turn_again)
        self._relief_at = 0.0  # when to look next at what a slow site keeps waiting
        self._shortage = 0  # how many wait for a slot, here or in other processes
        self._later: list[tuple[float, int, Consignment]] = []
        self._hurry = Hurry()
        self._precedence = Precedence()
        self._aside: deque[Consignment] = deque()  # not to be carried: the first is under way
        self._order = count()  # ties in the heap fall to who came first
        self._trips: set[asyncio.Task[None]] = set()
        self._on_the_road: set[asyncio.Task[Any]] = set()
        self._lingering = Lingering()
        self._something_changed = asyncio.Event()
        self._is_stopping = False

    def enqueue(self, envelope: Envelope) -> None:
        """Take on a message that the spool has just stored."""
        self._schedule(self._settlement.consignments(envelope))

    async def resume(self, envelopes: Iterable[Envelope]) -> None:
        """Take on what an earlier life of ours left."""
        for envelope in envelopes:
            self._schedule(await self._settlement.resume(envelope))

    def reroute(self) -> None:
        """Split anew what waits, after a change of the settlement's terms: roads may be gone."""
        waiting = [consignment for _, _, consignment in self._later]
        in_lanes = [one for lane in self._lanes.values() for one in lane.take_all()]
        waiting += [one for one in in_lanes if self._hurry.leave(one)]
        self._later.clear()
        for old in waiting:
            self._schedule(self._settlement.consignments(old.envelope, old.places))

    async def run(self) -> None:
        """Start what is due, whenever something is, until `stop`."""
        while not self._is_stopping:
            self._something_changed.clear()
            self.start_due()
            try:
                async with asyncio.timeout(self._seconds_to_next()):
                    await self._something_changed.wait()
            except TimeoutError:
                continue

    def start_due(self) -> None:
        """Start every trip that is due and has room. Decides and starts; waits for nothing.

        None while the spool cannot write: what came of it would be forgotten by a restart, and
        the mail sent twice.
        """
        if not self._spool.is_writable:
            return
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            self._make_ready(heapq.heappop(self._later)[2])
        for consignment in self._hurry.due(now):
            self._take_aside(consignment)
        if self._throttles.is_any_slow and now >= self._relief_at:
            self._relieve(now)
        while self._turns:
            self._ask(self._turns.popleft())
        self._slots.grant()

    def granted(self, destination: Destination, site: str, messages: int) -> None:
        """Start a trip with a slot that was asked for, or give it back."""
        asked = self._lane_to(destination)
        asked.is_in_line = False
        lane = self._precedence.turn(site, asked)
        if lane.may_travel and self._spool.is_writable and not self._is_stopping:
            courier = self._courier_to(lane.destination)
            yields = not (lane.urgent.has_mail or self._precedence.is_waited_for(site))
            self._start_trip(Trip(lane, courier, site, destination, messages, yields))
        else:  # since it was asked for, other trips went on
            self._slots.give_back(self, destination, site, unused=messages)
        self._give_turn(asked)

    def wanted_back(self, destination: Destination) -> None:
        """End one trip there, for others have fewer: an idle one at once, or else the next."""
        lane = self._lane_to(destination)
        if lane.lingering:
            self._lingering.end(lane.lingering[0])
        elif lane.owed < lane.trips:
            lane.owed += 1

    def shortage_is(self, count: int) -> None:
        """Give room to so many that wait for it: connections that wait for mail are closed."""
        self._shortage = count
        self._lingering.end_some(count)

    def throttled(self, throttle: Throttle, *, is_news: bool) -> None:
        """End the trips to a site that is held back; put its mail off, where it is shut."""
        self._throttles.hear(throttle, is_news=is_news)
        if throttle.is_free:
            return
        for lane in [lane for lane in self._lanes.values() if lane.site == throttle.site]:
            lane.owed = lane.trips
            for waiter in list(lane.lingering):
                self._lingering.end(waiter)
            if throttle.is_shut:
                self._take_out(lane.take_all())

    async def stop(self, limit: float) -> None:
        """Start nothing more, and let what is under way end within `limit` seconds.

        What has not ended then is cut off, except between a final dot and its reply; it is in
        the spool, and the next start takes it up.
        """
        self._is_stopping = True
        self._something_changed.set()
        await self._search.stop()
        self._lingering.end_some(len(self._lingering))
        if self._trips:
            await asyncio.wait(self._trips, timeout=limit)
        for trip in self._on_the_road:
            trip.cancel()  # but never one that is writing down what it brought
        if self._trips:
            _, left = await asyncio.wait(self._trips, timeout=1)
            if left:
                log.warning("waiting for replies to what is out already: %d deliveries", len(left))
        await asyncio.gather(*self._trips, return_exceptions=True)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way or due."""
        is_still = len(self._trips) == len(self._lingering)
        return is_still and not self._turns and not self._search.is_under_way

    def _schedule(self, waiting: Iterable[Consignment]) -> None:
        now = self._clock()
        for consignment in waiting:
            if consignment.due_at <= now:
                self._make_ready(consignment)
            else:
                heapq.heappush(self._later, (consignment.due_at, next(self._order), consignment))
                self._something_changed.set()

    def _seconds_to_next(self) -> float | None:
        if not self._spool.is_writable:
            return NEXT_LOOK
        moments = [self._later[0][0]] if self._later else []
        if (hurried_at := self._hurry.next_at) is not None:
            moments.append(hurried_at)
        if (granted_at := self._slots.next_at) is not None:
            moments.append(granted_at)
        if self._throttles.is_any_slow:
            moments.append(self._relief_at)
        return max(0.0, min(moments) - self._clock()) if moments else None

    def _make_ready(self, consignment: Consignment) -> None:
        has_deadline = consignment.envelope.request.deadline is not None
        if self._hindrances.hinders(consignment):
            self._take_aside(consignment)
            return
        lane = self._lane_to(consignment.destination)
        if lane.lingering and self._spool.is_writable:
            # To the connection used last, so that those beyond the need come to their end.
            self._lingering.end(lane.lingering[-1], consignment)
            return
        if has_deadline:
            self._hurry.enter(self._settlement.waits_until(consignment), consignment)
        lane.put(consignment, next(self._order))
        self._give_turn(lane)

    def _take_aside(self, consignment: Consignment) -> None:
        """Have it dealt with apart from the lanes, without a slot."""
        self._aside.append(consignment)
        if len(self._aside) == 1:
            task = asyncio.create_task(self._clear_aside(), name="what is not to be carried")
            self._trips.add(task)
            task.add_done_callback(self._trips.discard)

    async def _clear_aside(self) -> None:
        while self._aside:
            try:
                again = await self._hindrances.settle(self._aside[0])
            except Exception:
                log.exception("%s: to put it off ended in a bug", self._aside[0].envelope.id)
                again = [replace(self._aside[0], due_at=self._clock() + AFTER_A_BUG)]
            self._aside.popleft()
            self._schedule(again)

    def _relieve(self, now: float) -> None:
        """Have mail leave by the second road that a slow site has kept for too long."""
        self._relief_at = now + RELIEF_INTERVAL
        for lane in self._lanes.values():
            if lane.has_mail and self._throttles.slow(lane.site) is not None:
                too_old = self._hindrances.leaves_before(lane.destination)
                self._take_out(lane.take_older(too_old))

    def _take_out(self, consignments: Iterable[Consignment]) -> None:
        """Take aside what was in a lane."""
        for consignment in consignments:
            if self._hurry.leave(consignment):
                self._take_aside(consignment)

    def _lane_to(self, destination: Destination) -> Lane:
        lane = self._lanes.get(destination)
        if lane is None:
            if len(self._lanes) >= MAX_IDLE_LANES:
                self._lanes = {d: lane for d, lane in self._lanes.items() if not lane.is_idle}
            lane = self._lanes[destination] = Lane(destination)
        return lane

    def _give_turn(self, lane: Lane) -> None:
        """Put a lane in line for one more trip, if it has mail for one and may have it."""
        if not lane.is_in_line and lane.may_travel:
            lane.is_in_line = True
            self._turns.append(lane)
            self._something_changed.set()
        elif lane.waits_as_bulk and lane.urgent.has_mail:
            self._precedence.enter(lane.site, lane)

    def _ask(self, lane: Lane) -> None:
        """Ask for a slot for a lane, once its site is known."""
        site = self._sites.known(lane.destination)
        if site is not None:
            lane.site = site
            if self._throttles.is_any_shut and self._throttles.barrier_to(lane.destination):
                lane.is_in_line = False
                self._take_out(lane.take_all())
                return
            self._precedence.enter(site, lane)
            self._slots.ask(self, lane.destination, site)
            return
        self._search.begin(lane)

    def _turn_again(self, lane: Lane) -> None:
        self._turns.append(lane)
        self._something_changed.set()

    def _start_trip(self, trip: Trip) -> None:
        lane = trip.lane
        lane.trips += 1
        task = asyncio.create_task(
            self._travel(trip, lane.take()), name=f"trip to {lane.destination}"
        )
        self._trips.add(task)
        task.add_done_callback(self._trips.discard)
        self._give_turn(lane)

    async def _travel(self, trip: Trip, first: Consignment) -> None:
        """Carry a lane's mail over one connection, until there is none or others need the room."""
        consignment: Consignment | None = first
        try:
            while consignment is not None:
                trip.left -= 1
                await self._carry(trip, consignment)
                consignment = await self._following(trip)
        finally:
            await trip.courier.close()
            self._end_trip(trip)

    def _end_trip(self, trip: Trip) -> None:
        lane = trip.lane
        lane.trips -= 1
        lane.owed = min(lane.owed, lane.trips)
        self._slots.give_back(self, trip.berth, trip.site, unused=trip.left, sent=trip.sent)
        self._give_turn(lane)
        self._something_changed.set()  # there is room for another

    async def _following(self, trip: Trip) -> Consignment | None:
        """The next message for the connection of a trip; or none."""
        lane = trip.lane
        if lane.owed:
            lane.owed -= 1
            return None
        if not trip.left or self._shortage or self._is_stopping or not self._spool.is_writable:
            return None
        if lane.has_mail:
            is_behind = trip.yields and not lane.urgent.has_mail
            if is_behind and self._precedence.is_waited_for(trip.site):
                return None
            self._say_progress(trip)
            return lane.take()
        is_worth_it = trip.courier.is_connected and self.room.linger
        return await self._lingering.wait(lane, self.room.linger) if is_worth_it else None

    def _say_progress(self, trip: Trip) -> None:
        """Tell once that a site takes our mail, so that it may get more connections."""
        if trip.is_new and trip.sent:
            self._slots.report(trip.site, sent=trip.sent)
            trip.sent, trip.is_new = 0, False
            self._something_changed.set()

    async def _carry(self, trip: Trip, consignment: Consignment) -> None:
        try:
            again = await self._attempt(trip, consignment)
        except Exception:
            log.exception("%s: the attempt ended in a bug", consignment.envelope.id)
            again = [replace(consignment, due_at=self._clock() + AFTER_A_BUG)]
        self._schedule(again)

    async def _attempt(self, trip: Trip, consignment: Consignment) -> list[Consignment]:
        lane = trip.lane
        has_deadline = consignment.envelope.request.deadline is not None
        if has_deadline and not self._hurry.leave(consignment):
            return []  # it waited here for too long, and went elsewhere
        if self._hindrances.hinders(consignment):
            return await self._hindrances.settle(consignment)
        shut = lane.breaker.suspends(self._clock())
        if shut is not None and not self._detours.is_probe(consignment):
            return await self._settlement.suspend(consignment, shut, lane.breaker.shut_until)
        outcomes = await self._outcomes(trip.courier, consignment)
        self._heed(trip, outcomes)
        plan = self._settlement.terms.of(lane.destination.route).plan
        lane.breaker = after_outcomes(lane.breaker, outcomes, plan, self._clock())
        self._give_turn(lane)  # a lane that is whole again has room for more trips
        return await self._settlement.settle(consignment, outcomes)

    def _heed(self, trip: Trip, outcomes: Sequence[Outcome]) -> None:
        """Count what went, and tell of a site's trouble at once."""
        trouble = trouble_in(outcomes, trip.site)
        if trouble is None or self._is_left(trip.lane, trouble):
            trip.sent += 1
            return
        self._slots.report(trip.site, sent=trip.sent, trouble=trouble)
        trip.sent = 0

    def _is_left(self, lane: Lane, trouble: Trouble) -> bool:
        """Whether mail leaves the road that this shuts: then its probes are to go there."""
        may_divert = self._settlement.may_divert
        is_ours = trouble.ruling.is_of_our_address
        return is_ours and may_divert(lane.destination, Reason.BLOCKED)

    async def _outcomes(self, courier: Courier, consignment: Consignment) -> Sequence[Outcome]:
        try:
            content = await self._spool.content(consignment.envelope.id)
        except SpoolError as error:
            log.error("%s", error)
            return [unreadable(error)] * len(consignment.places)
        letter = letter_for(consignment, content)
        trip = asyncio.current_task()
        assert trip is not None, "every attempt is made by a trip"
        self._on_the_road.add(trip)
        try:
            return await courier.deliver(letter, self._limit(consignment))
        finally:
            self._on_the_road.remove(trip)

    def _limit(self, consignment: Consignment) -> float | None:
        """Seconds that an attempt may take; None: as many as it likes."""
        if consignment.envelope.request.deadline is None:
            return None
        until = self._settlement.waits_until(consignment)
        return None if until == inf else until - self._clock()
