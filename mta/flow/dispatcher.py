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
from dataclasses import dataclass, replace
from itertools import count
from math import inf
from typing import Any

from mta.model.envelope import Consignment, Destination, Envelope, Letter, Reason
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict
from mta.model.pace import Throttle, Trouble
from mta.model.request import NOTHING_FOR_RECIPIENT, RecipientRequest
from mta.model.trouble import SpoolError

from mta.rules.delivery.breaker import after_outcomes
from mta.rules.delivery.closure import Closure
from mta.rules.pacing.feedback import trouble_in

from mta.flow.courier import Courier
from mta.flow.detours import Detours
from mta.flow.hurry import Hurry
from mta.flow.lane import Lane, Waiter
from mta.flow.ports import Clock, SlotKeeper, Spool
from mta.flow.precedence import Precedence
from mta.flow.settlement import Settlement
from mta.flow.sites import Sites
from mta.flow.slots import Room
from mta.flow.throttles import Throttles, outcome_of

log = logging.getLogger(__name__)

MAX_IDLE_LANES = 10_000  # past which what is known of idle destinations is let go
NEXT_LOOK = 1.0  # seconds until a spool that cannot write is looked at again
RELIEF_INTERVAL = 60.0  # seconds between looks at what slow sites keep waiting
MAX_FINDERS = 100  # sites that are looked for at once
WHILE_PROBED = 60.0  # seconds until mail that has no second road is looked at again
AFTER_A_BUG = 300.0  # seconds until mail is tried again whose attempt ended in an exception


@dataclass(slots=True)
class Trip:
    """One connection and its lane: how many more messages it may carry, and has carried.

    `berth` is the destination that its slot was asked for. `yields`: it carries bulk to a site for
    which nothing urgent waited, and ends when something does.
    """

    lane: Lane
    courier: Courier
    site: str
    berth: Destination
    left: int
    yields: bool
    sent: int = 0  # since it was last told
    is_new: bool = True


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
        self._throttles = throttles
        self._clock = clock
        self._lanes: dict[Destination, Lane] = {}
        self._turns: deque[Lane] = deque()  # lanes that want another trip, next one first
        self._unknown: deque[Lane] = deque()  # the same, but that their sites are to be found
        self._finders: set[asyncio.Task[None]] = set()
        self._relief_at = 0.0  # when to look next at what a slow site keeps waiting
        self._shortage = 0  # how many wait for a slot, here or in other processes
        self._later: list[tuple[float, int, Consignment]] = []
        self._hurry = Hurry()
        self._precedence = Precedence()
        self._aside: deque[Consignment] = deque()  # not to be carried: the first is under way
        self._order = count()  # ties in the heap fall to who came first
        self._trips: set[asyncio.Task[None]] = set()
        self._on_the_road: set[asyncio.Task[Any]] = set()
        self._lingering: dict[Waiter, Lane] = {}  # longest first
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
            self._end_lingering(lane.lingering[0])
        elif lane.owed < lane.trips:
            lane.owed += 1

    def shortage_is(self, count: int) -> None:
        """Give room to so many that wait for it: connections that wait for mail are closed."""
        self._shortage = count
        for waiter in list(self._lingering)[:count]:
            self._end_lingering(waiter)

    def throttled(self, throttle: Throttle, *, is_news: bool) -> None:
        """End the trips to a site that is held back; put its mail off, where it is shut."""
        self._throttles.hear(throttle, is_news=is_news)
        if throttle.is_free:
            return
        for lane in [lane for lane in self._lanes.values() if lane.site == throttle.site]:
            lane.owed = lane.trips
            for waiter in list(lane.lingering):
                self._end_lingering(waiter)
            if throttle.is_shut:
                self._empty(lane)

    async def stop(self, limit: float) -> None:
        """Start nothing more, and let what is under way end within `limit` seconds.

        What has not ended then is cut off, except between a final dot and its reply; it is in
        the spool, and the next start takes it up.
        """
        self._is_stopping = True
        self._something_changed.set()
        for finder in self._finders:
            finder.cancel()
        for waiter in list(self._lingering):
            self._end_lingering(waiter)
        if self._trips:
            await asyncio.wait(self._trips, timeout=limit)
        for trip in self._on_the_road:
            trip.cancel()  # but never one that is writing down what it brought
        if self._trips:
            _, left = await asyncio.wait(self._trips, timeout=1)
            if left:
                log.warning("waiting for replies to what is out already: %d deliveries", len(left))
        await asyncio.gather(*self._trips, *self._finders, return_exceptions=True)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way or due."""
        is_still = len(self._trips) == len(self._lingering)
        return is_still and not self._turns and not self._finders

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
        is_any_shut = self._detours.is_any_shut or self._throttles.is_any_shut
        if (has_deadline or is_any_shut) and self._is_hindered(consignment):
            self._take_aside(consignment)
            return
        lane = self._lane_to(consignment.destination)
        if lane.lingering and self._spool.is_writable:
            # To the connection used last, so that those beyond the need come to their end.
            self._end_lingering(lane.lingering[-1], consignment)
            return
        if has_deadline:
            self._hurry.enter(self._settlement.waits_until(consignment), consignment)
        lane.put(consignment, next(self._order))
        self._give_turn(lane)

    def _is_hindered(self, consignment: Consignment) -> bool:
        """Whether it is not to be carried: its road is shut, or its time is over."""
        if self._barrier_to(consignment) is not None:
            return True
        if self._throttles.barrier_to(consignment.destination) is not None:
            return True
        if consignment.envelope.request.deadline is None:
            return False
        return self._settlement.waits_until(consignment) <= self._clock()

    def _barrier_to(self, consignment: Consignment) -> Closure | None:
        closure = self._detours.barrier_to(consignment)
        if closure is None:
            return None
        is_left = self._settlement.may_divert(consignment.destination, closure.reason)
        return closure if is_left else None

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
                again = await self._hindered(self._aside[0])
            except Exception:
                log.exception("%s: to put it off ended in a bug", self._aside[0].envelope.id)
                again = [replace(self._aside[0], due_at=self._clock() + AFTER_A_BUG)]
            self._aside.popleft()
            self._schedule(again)

    async def _hindered(self, consignment: Consignment) -> list[Consignment]:
        """Put off, divert or give up what is not to be carried; the same where it may be now."""
        has_deadline = consignment.envelope.request.deadline is not None
        if has_deadline and self._settlement.waits_until(consignment) <= self._clock():
            return await self._settlement.hurry(consignment)
        closure = self._barrier_to(consignment)
        if closure is None:
            return await self._put_off(consignment)
        # Its time may be over, while a probe is under way.
        until = max(closure.until, self._clock() + WHILE_PROBED)
        divert = self._settlement.divert
        return await divert(consignment, closure.reason, closure.outcome, until)

    async def _put_off(self, consignment: Consignment) -> list[Consignment]:
        throttle = self._throttles.barrier_to(consignment.destination)
        if throttle is None:
            return await self._divert_from_slow(consignment)
        reason = None if throttle.trouble else Reason.WARM_UP
        outcome, until = outcome_of(throttle), throttle.until
        return await self._settlement.suspend(consignment, outcome, until, reason)

    async def _divert_from_slow(self, consignment: Consignment) -> list[Consignment]:
        """On by the second road, where it was too long; or back, where it can be carried by now."""
        site = self._sites.known(consignment.destination) or ""
        slow, destination = self._throttles.slow(site), consignment.destination
        older_than = self._leaves_before(destination)
        if slow is None or consignment.envelope.released_at >= older_than:
            return [consignment]
        outcome, now = outcome_of(slow), self._clock()
        return await self._settlement.divert(consignment, Reason.RATE, outcome, now)

    def _relieve(self, now: float) -> None:
        """Have mail leave by the second road that a slow site has kept for too long."""
        self._relief_at = now + RELIEF_INTERVAL
        for lane in self._lanes.values():
            if lane.has_mail and self._throttles.slow(lane.site) is not None:
                for consignment in lane.take_older(self._leaves_before(lane.destination)):
                    if self._hurry.leave(consignment):
                        self._take_aside(consignment)

    def _leaves_before(self, destination: Destination) -> float:
        """What was released before that moment is too old to wait for a slow site."""
        if not self._settlement.may_divert(destination, Reason.RATE):
            return -inf
        terms = self._settlement.terms.of(destination.route)
        return self._clock() - terms.fallback.rate_after

    def _empty(self, lane: Lane) -> None:
        for consignment in lane.take_all():
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
                self._empty(lane)
                return
            self._precedence.enter(site, lane)
            self._slots.ask(self, lane.destination, site)
            return
        self._unknown.append(lane)
        if len(self._finders) < MAX_FINDERS:
            finder = asyncio.create_task(self._find_sites(), name="finder of sites")
            self._finders.add(finder)
            finder.add_done_callback(self._finders.discard)

    async def _find_sites(self) -> None:
        """Find the sites of lanes that want a trip, as long as there are such."""
        while self._unknown:
            lane = self._unknown.popleft()
            try:
                await self._sites.find(lane.destination)
            except Exception:
                log.exception("%s: to find its site ended in a bug", lane.destination)
                await asyncio.sleep(NEXT_LOOK)
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
        return await self._linger(lane) if trip.courier.is_connected else None

    def _say_progress(self, trip: Trip) -> None:
        """Tell once that a site takes our mail, so that it may get more connections."""
        if trip.is_new and trip.sent:
            self._slots.report(trip.site, sent=trip.sent)
            trip.sent, trip.is_new = 0, False
            self._something_changed.set()

    async def _linger(self, lane: Lane) -> Consignment | None:
        """Keep the connection a moment: more mail for the same place often follows soon."""
        if not self.room.linger:
            return None
        loop = asyncio.get_running_loop()
        waiter: Waiter = loop.create_future()
        lane.lingering.append(waiter)
        self._lingering[waiter] = lane
        timer = loop.call_later(self.room.linger, self._end_lingering, waiter)
        try:
            return await waiter
        finally:
            timer.cancel()

    def _end_lingering(self, waiter: Waiter, consignment: Consignment | None = None) -> None:
        """Wake the trip that waits: with mail, or to let go of its connection."""
        lane = self._lingering.pop(waiter, None)
        if lane is not None:
            lane.lingering.remove(waiter)
            waiter.set_result(consignment)

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
        is_any_shut = self._detours.is_any_shut or self._throttles.is_any_shut
        if (has_deadline or is_any_shut) and self._is_hindered(consignment):
            return await self._hindered(consignment)
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
        envelope = consignment.envelope
        try:
            content = await self._spool.content(envelope.id)
        except SpoolError as error:
            return [_unreadable(error)] * len(consignment.places)
        letter = Letter(
            id=envelope.id,
            sender=envelope.sender,
            recipients=tuple([envelope.recipients[i].address for i in consignment.places]),
            content=content,
            is_8bit=envelope.is_8bit,
            needs_smtputf8=envelope.needs_smtputf8,
            request=envelope.request,
            requests=_requests(envelope, consignment.places),
            bound_to=envelope.recipients[consignment.places[0]].bound_to,
        )
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


def _requests(envelope: Envelope, places: Sequence[int]) -> tuple[RecipientRequest, ...]:
    """What was asked for the recipients at these places; none where that is nothing at all."""
    asked = tuple([envelope.recipients[place].request for place in places])
    return asked if any(one is not NOTHING_FOR_RECIPIENT for one in asked) else ()


def _unreadable(error: SpoolError) -> Outcome:
    log.error("%s", error)
    reply = Reply(451, f"our spool cannot read the message: {error}", 3, 0)
    return Outcome(Verdict.DEFERRED, reply, Stage.CONTENT, Scope.MESSAGE)
