"""Slots across processes: two dispatchers' holders, one keeper, and a real socket pair each."""

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from mta.model.envelope import Destination, Road
from mta.model.pace import Throttle, Trouble

from mta.flow.delivery.slots import Room, Slots
from mta.flow.ports import SlotHolder, SlotKeeper

from mta.edge.channel import Channel

from mta.processes.words import RemoteHolder, RemoteSlots
from tests.flow.house import story

OPEN: list[Channel] = []  # by the test that runs now
THERE = Destination(Road.DIRECT, "there.test")
RELAY = Destination(Road.SMARTHOST, "", "office")

SITES = {THERE: "there.test", RELAY: "smarthost:relay.test"}


def talk(test: Callable[[], Coroutine[object, object, None]]) -> Callable[[], None]:
    """Run an asynchronous test, and close its channels."""

    @wraps(test)
    async def closing() -> None:
        try:
            await test()
        finally:
            while OPEN:
                OPEN.pop().close()
            await asyncio.sleep(0.01)  # each hears of the other's end

    return story(closing)


async def opened(channel: Channel, end: socket.socket) -> Channel:
    await channel.open(end)
    OPEN.append(channel)
    return channel


class Dispatcher:
    """A worker's dispatcher that keeps what it gets and notes what it hears."""

    def __init__(self) -> None:
        self.held: Counter[Destination] = Counter()
        self.wanted: list[Destination] = []
        self.shortage = 0
        self.throttles: list[tuple[Throttle, bool]] = []
        self.news = asyncio.Event()

    def granted(self, destination: Destination, site: str, messages: int) -> None:
        assert (site, messages) == (SITES[destination], 100)
        self.held[destination] += 1
        self.news.set()

    def wanted_back(self, destination: Destination) -> None:
        self.wanted.append(destination)
        self.news.set()

    def shortage_is(self, count: int) -> None:
        self.shortage = count
        self.news.set()

    def throttled(self, throttle: Throttle, *, is_news: bool) -> None:
        self.throttles.append((throttle, is_news))
        self.news.set()

    async def hears(self) -> None:
        await asyncio.wait_for(self.news.wait(), 5)
        self.news.clear()


async def connected(keeper: Slots) -> tuple[Dispatcher, RemoteSlots, Channel]:
    """A dispatcher, its slots, and its end of the channel to the keeper."""
    ours, theirs = socket.socketpair()
    there = Channel(heard=lambda words: holder.heard(*words), ended=lambda: keeper.leave(holder))
    holder = RemoteHolder(there.say, keeper)
    here = Channel(heard=lambda words: slots.heard(*words))
    slots = RemoteSlots(here.say)
    promised: SlotKeeper = slots
    dispatcher = Dispatcher()
    joined: SlotHolder = dispatcher
    promised.join(joined)
    await opened(there, theirs)
    await opened(here, ours)
    keeper.join(holder)
    return dispatcher, slots, here


@talk
async def test_what_is_asked_for_is_granted_and_comes_back() -> None:
    keeper = Slots(Room(10, 1, 100), clock=time.time)
    one, slots, _ = await connected(keeper)
    two, others, _ = await connected(keeper)

    slots.ask(one, THERE, SITES[THERE])
    await one.hears()
    others.ask(two, THERE, SITES[THERE])
    slots.give_back(one, THERE, SITES[THERE])
    await two.hears()
    slots.ask(one, RELAY, SITES[RELAY])
    await one.hears()

    assert one.held == {THERE: 1, RELAY: 1}
    assert two.held == {THERE: 1}


@talk
async def test_who_has_most_hears_that_one_is_wanted_back() -> None:
    keeper = Slots(Room(10, 2, 100), clock=time.time)
    rich, slots, _ = await connected(keeper)
    poor, others, _ = await connected(keeper)
    slots.ask(rich, THERE, SITES[THERE])
    slots.ask(rich, THERE, SITES[THERE])
    await rich.hears()

    others.ask(poor, THERE, SITES[THERE])
    await rich.hears()

    assert rich.wanted == [THERE]


@talk
async def test_all_hear_of_a_shortage() -> None:
    keeper = Slots(Room(1, 1, 100), clock=time.time)
    one, slots, _ = await connected(keeper)
    two, others, _ = await connected(keeper)
    slots.ask(one, THERE, SITES[THERE])
    await one.hears()

    others.ask(two, RELAY, SITES[RELAY])
    await one.hears()
    await two.hears()

    assert (one.shortage, two.shortage) == (1, 1)


@talk
async def test_what_a_process_held_is_free_when_its_channel_ends() -> None:
    keeper = Slots(Room(1, 1, 100), clock=time.time)
    one, slots, channel = await connected(keeper)
    two, others, _ = await connected(keeper)
    slots.ask(one, THERE, SITES[THERE])
    await one.hears()
    others.ask(two, RELAY, SITES[RELAY])
    await two.hears()  # of the shortage

    channel.close()
    while len(keeper._holders) > 1:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.01)
    keeper.grant()
    while not two.held:  # and of a shortage that is over
        await two.hears()

    assert two.held == {RELAY: 1}


@talk
async def test_many_words_arrive_whole_and_in_order() -> None:
    ours, theirs = socket.socketpair()
    heard: list[list[Any]] = []
    is_all = asyncio.Event()

    def hear(words: list[Any]) -> None:
        heard.append(words)
        if len(heard) == 10_000:
            is_all.set()

    there = Channel(heard=hear)
    here = Channel(heard=hear)
    await opened(there, theirs)
    await opened(here, ours)

    for number in range(10_000):
        here.say("word", number, "x" * (number % 50))
        if number % 1000 == 0:
            await asyncio.sleep(0)
    await asyncio.wait_for(is_all.wait(), 5)

    assert [words[1] for words in heard] == list(range(10_000))


@talk
async def test_trouble_is_told_to_the_keeper_and_its_throttle_to_all() -> None:
    keeper = Slots(Room(10, 10, 100), clock=time.time)
    one, slots, _ = await connected(keeper)
    two, _, _ = await connected(keeper)
    trouble = Trouble(421, "[TSS04] é", 7, 0, "sender", "rate", "yahoo-tss04", "pause", 7200.0)

    slots.report("yahoo", sent=3, trouble=trouble)
    await one.hears()
    await two.hears()

    ((throttle, is_news),) = one.throttles
    assert is_news
    assert throttle.trouble == trouble
    assert throttle.is_shut
    assert two.throttles == [(throttle, False)]


def test_what_the_keeper_says_before_the_dispatcher_is_there_is_heard_when_it_is() -> None:
    slots = RemoteSlots(lambda *words: None)
    dispatcher = Dispatcher()

    words = json.loads('["throttled", "google", 0.0, 0.1, false, null, false]')
    slots.heard(*words)
    slots.join(dispatcher)

    assert dispatcher.throttles == [(Throttle("google", 0.0, 0.1), False)]


@talk
async def test_a_process_that_comes_later_hears_what_is_held_back() -> None:
    keeper = Slots(Room(10, 10, 100), clock=time.time)
    trouble = Trouble(421, "busy", 7, 28, "content", "rate", "some-rule", "slow", 0.0)
    keeper.report("google", sent=0, trouble=trouble)

    late, _, _ = await connected(keeper)
    await late.hears()

    ((throttle, is_news),) = late.throttles
    assert (throttle.site, throttle.is_shut, is_news) == ("google", False, False)
    assert throttle.words == "1/min"
