"""Connections for several processes: never more than the limits, fairly shared, none lost."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mta.model.envelope import Destination, Road
from mta.model.pace import Throttle, Trouble

from mta.rules.pacing.limits import DAY, Pacing, SiteChanges, WarmUp

from mta.flow.delivery.slots import Room, Slots
from mta.flow.ports import SlotHolder

from tests.flow.house import START

THERE, ELSE, NEAR = (
    Destination(Road.DIRECT, domain) for domain in ("there.test", "else.test", "near.test")
)
SITES = {THERE: "there.test", ELSE: "else.test", NEAR: "there.test"}


def clock() -> float:
    return START


class Process:
    """A holder that keeps what it gets, and gives back one where that is asked for."""

    def __init__(self, slots: Slots, *, is_willing: bool = False) -> None:
        self.held: Counter[Destination] = Counter()
        self.asked_back: list[Destination] = []
        self.shortage = 0
        self.messages: list[int] = []  # of each grant
        self.throttles: list[tuple[Throttle, bool]] = []
        self._slots = slots
        self._is_willing = is_willing
        holder: SlotHolder = self
        slots.join(holder)

    def granted(self, destination: Destination, site: str, messages: int) -> None:
        assert site == SITES[destination]
        self.held[destination] += 1
        self.messages.append(messages)

    def wanted_back(self, destination: Destination) -> None:
        self.asked_back.append(destination)
        if self._is_willing:
            self.give_back(destination)

    def shortage_is(self, count: int) -> None:
        self.shortage = count

    def throttled(self, throttle: Throttle, *, is_news: bool) -> None:
        self.throttles.append((throttle, is_news))

    def ask(self, destination: Destination, times: int = 1) -> None:
        for _ in range(times):
            self._slots.ask(self, destination, SITES[destination])
        self._slots.grant()

    def give_back(self, destination: Destination, unused: int = 0, sent: int = 0) -> None:
        self.held[destination] -= 1
        site = SITES[destination]
        self._slots.give_back(self, destination, site, unused=unused, sent=sent)
        self._slots.grant()


def room(concurrency: int, per_destination: int) -> Slots:
    return Slots(Room(concurrency, per_destination, messages_per_connection=100), clock=clock)


def test_a_destination_s_limit_counts_for_all_processes_together() -> None:
    slots = room(100, 3)
    one, two = Process(slots), Process(slots)

    one.ask(THERE, 2)
    two.ask(THERE, 2)
    assert (one.held[THERE], two.held[THERE]) == (2, 1)
    one.give_back(THERE)

    assert (one.held[THERE], two.held[THERE]) == (1, 2)


def test_a_full_destination_is_in_nobody_s_way() -> None:
    slots = room(10, 1)
    process = Process(slots)

    process.ask(THERE, 3)
    process.ask(ELSE)

    assert process.held == {THERE: 1, ELSE: 1}
    assert process.shortage == 0


def test_who_asked_first_goes_first_and_all_hear_how_many_wait() -> None:
    slots = room(1, 2)
    one, two, three = Process(slots), Process(slots), Process(slots)

    one.ask(THERE)
    two.ask(ELSE)
    three.ask(ELSE)
    assert [process.shortage for process in (one, two, three)] == [2, 2, 2]
    one.give_back(THERE)

    assert (two.held[ELSE], three.held[ELSE]) == (1, 0)
    assert one.shortage == 1


def test_who_holds_most_of_a_full_destination_is_asked_for_one_that_others_lack() -> None:
    slots = room(100, 4)
    rich, poor = Process(slots, is_willing=True), Process(slots)
    rich.ask(THERE, 4)

    poor.ask(THERE)
    poor.ask(THERE)
    poor.ask(THERE)

    assert (rich.held[THERE], poor.held[THERE]) == (2, 2)
    assert rich.asked_back == [THERE, THERE]


def test_a_process_that_ends_frees_what_it_held_and_asked_for() -> None:
    slots = room(2, 2)
    gone, left = Process(slots), Process(slots)
    gone.ask(THERE, 3)
    left.ask(THERE, 2)

    slots.leave(gone)
    slots.grant()

    assert left.held[THERE] == 2
    assert left.shortage == 0


def test_more_room_is_used_from_the_next_look_on() -> None:
    slots = room(1, 1)
    process = Process(slots)
    process.ask(THERE)
    process.ask(ELSE)

    slots.renew(Room(2, 2, messages_per_connection=100))
    slots.grant()

    assert process.held[ELSE] == 1


@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from([THERE, ELSE]), st.booleans())),
)
def test_limits_hold_and_nobody_is_forgotten_whatever_comes(
    concurrency: int, per_destination: int, moves: list[tuple[int, Destination, bool]]
) -> None:
    slots = room(concurrency, per_destination)
    processes = [Process(slots) for _ in range(3)]
    asked = 0
    for number, destination, is_ask in moves:
        if is_ask:
            processes[number].ask(destination)
            asked += 1
        elif processes[number].held[destination]:
            processes[number].give_back(destination)
            asked -= 1
        held = sum((process.held for process in processes), Counter[Destination]())
        assert held.total() <= concurrency
        assert all(count <= per_destination for count in held.values())

    for _ in range(asked):  # as each gives back what it has, all that asked get theirs
        process = next(process for process in processes if +process.held)
        process.give_back(next(iter(+process.held)))

    assert not any(+process.held for process in processes)


# Sites


def test_the_domains_of_one_site_share_its_connections() -> None:
    slots = room(100, 3)
    process = Process(slots)

    process.ask(THERE, 2)
    process.ask(NEAR, 2)

    assert process.held == {THERE: 2, NEAR: 1}
    process.give_back(THERE)
    assert process.held == {THERE: 1, NEAR: 2}


def test_a_domain_that_has_all_of_a_sites_connections_gives_some_to_another_of_that_site() -> None:
    slots = room(100, 4)
    process = Process(slots, is_willing=True)
    process.ask(THERE, 4)

    process.ask(NEAR)
    process.ask(NEAR)

    assert process.held == {THERE: 2, NEAR: 2}
    assert process.asked_back == [THERE, THERE]


def test_a_grant_says_how_many_messages_it_is_for() -> None:
    pacing = Pacing({"there.test": SiteChanges(messages=20)})
    process = Process(Slots(Room(10, 10, 100, pacing=pacing), clock=clock))

    process.ask(THERE)
    process.ask(ELSE)

    assert process.messages == [20, 100]


class Time:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def test_a_rate_lets_a_group_go_each_ten_seconds_and_gives_back_what_was_not_used() -> None:
    time = Time()
    pacing = Pacing({"there.test": SiteChanges(per_hour=3600)})
    slots = Slots(Room(10, 10, 100, pacing=pacing), clock=time)
    process = Process(slots)

    process.ask(THERE)
    process.ask(THERE)
    assert process.messages == [20]  # what may go at once after a silence
    assert slots.next_at == START + 10

    time.now = START + 10
    slots.grant()
    assert process.messages == [20, 10]

    process.give_back(THERE, unused=8)
    process.ask(THERE)
    assert process.messages == [20, 10]
    time.now += 2
    slots.grant()
    assert process.messages == [20, 10, 10]
    assert slots.next_at is None


def test_who_waits_for_a_site_s_time_is_in_nobody_s_way() -> None:
    time = Time()
    pacing = Pacing({"there.test": SiteChanges(per_hour=60)})
    slots = Slots(Room(1, 10, 100, pacing=pacing), clock=time)
    process = Process(slots)
    process.ask(THERE)
    process.give_back(THERE)

    process.ask(THERE, 5)
    process.ask(ELSE)

    assert process.held[ELSE] == 1
    assert process.shortage == 0


def test_connections_to_a_site_begin_no_faster_than_its_pause() -> None:
    time = Time()
    pacing = Pacing({"there.test": SiteChanges(pause=5.0)})
    slots = Slots(Room(10, 10, 100, pacing=pacing), clock=time)
    process = Process(slots)

    process.ask(THERE, 3)
    held = [process.held[THERE]]
    for _ in range(2):
        assert slots.next_at == time.now + 5
        time.now += 5
        slots.grant()
        held.append(process.held[THERE])

    assert held == [1, 2, 3]


def test_a_warm_up_lets_no_more_go_today_than_it_says_and_goes_on_tomorrow() -> None:
    time = Time()
    time.now = START // DAY * DAY
    pacing = Pacing({"there.test": SiteChanges(warm_up=WarmUp(time.now, (30, 60)), messages=20)})
    slots = Slots(Room(10, 10, 100, pacing=pacing), clock=time)
    process = Process(slots)

    process.ask(THERE, 3)
    assert process.messages == [20, 10]
    assert slots.next_at == time.now + DAY
    process.give_back(THERE, unused=10)
    assert process.messages == [20, 10, 10]

    process.ask(THERE)
    time.now += DAY
    slots.grant()
    assert process.messages == [20, 10, 10, 20]


def test_idle_sites_are_forgotten_but_not_while_somebody_stands_in_line() -> None:
    slots = room(1, 1)
    process = Process(slots)
    process.ask(THERE)
    process.ask(ELSE)

    slots._let_go()

    assert set(slots._sites) == {"there.test", "else.test"}
    process.give_back(THERE)
    process.give_back(ELSE)
    slots._let_go()
    assert slots._sites == {}


def test_what_is_known_of_sites_outlives_a_restart() -> None:
    before = room(10, 10)
    trouble = Trouble(421, "later", 7, 0, "sender", "rate", "some-rule", "pause", 7200.0)
    before.report("there.test", sent=0, trouble=trouble)
    states = before.changed_states()
    assert states is not None
    assert before.changed_states() is None

    after = room(10, 10)
    after.restore(states)
    process = Process(after)
    process.ask(THERE)
    process.ask(ELSE)

    assert process.held == {ELSE: 1}
    ((throttle, is_news),) = process.throttles
    assert throttle.is_shut
    assert not is_news


def test_what_a_warm_up_has_sent_today_counts_over_a_restart() -> None:
    pacing = Pacing({"there.test": SiteChanges(warm_up=WarmUp(START // DAY * DAY, (30, 60)))})
    before, after = (Slots(Room(10, 10, 100, pacing=pacing), clock=clock) for _ in range(2))
    first, second = Process(before), Process(after)
    first.ask(THERE)
    first.give_back(THERE, unused=10)

    after.restore(before.changed_states() or [])
    second.ask(THERE)

    assert (first.messages, second.messages) == ([30], [10])


def test_a_clock_that_was_set_back_shuts_no_site_for_longer_than_was_meant() -> None:
    before = room(10, 10)
    trouble = Trouble(421, "later", 7, 0, "sender", "rate", "some-rule", "pause", 7200.0)
    before.report("there.test", sent=0, trouble=trouble)
    time = Time()
    time.now -= 30 * DAY

    after = Slots(Room(10, 10, 100), clock=time)
    after.restore(before.changed_states() or [])
    process = Process(after)
    process.ask(THERE)

    assert process.held[THERE] == 0
    assert after.next_at == time.now + 7200


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ask", "ask", "back", "slow", "pause", "lost", "time"]),
            st.integers(0, 2),
            st.sampled_from([THERE, ELSE, NEAR]),
            st.floats(0, 4000),
        ),
        max_size=60,
    )
)
def test_whatever_a_site_says_its_limits_hold_and_in_the_end_everybody_has_a_turn(
    moves: list[tuple[str, int, Destination, float]],
) -> None:
    time = Time()
    pacing = Pacing({"else.test": SiteChanges(per_hour=600, pause=2.0)})
    slots = Slots(Room(4, 3, 10, pacing=pacing), clock=time)
    processes = [Process(slots) for _ in range(3)]
    asked = 0
    for move, number, destination, seconds in moves:
        process = processes[number]
        if move == "ask":
            process.ask(destination)
            asked += 1
        elif move == "back" and process.held[destination]:
            process.give_back(destination, unused=3, sent=7)
            asked -= 1
        elif move in ("slow", "pause"):
            trouble = Trouble(421, "later", 7, 0, "sender", "rate", "a-rule", move, seconds)
            slots.report(SITES[destination], sent=1, trouble=trouble)
        elif move == "lost":
            trouble = Trouble(451, "gone", 4, 1, "connect", "network", "a-rule", "nothing", 0.0)
            slots.report(SITES[destination], sent=0, trouble=trouble)
        elif move == "time":
            time.now += seconds
            slots.grant()
        by_site: Counter[str] = Counter()
        for one in processes:
            for each, count in one.held.items():
                by_site[SITES[each]] += count
        assert by_site.total() <= 4
        assert all(count <= 3 for count in by_site.values())
        assert slots.next_at is None or slots.next_at > time.now

    for _ in range(20 * asked + 20):  # from now on all goes well
        holders = [one for one in processes if +one.held]
        if holders:
            holders[0].give_back(next(iter(+holders[0].held)), sent=1)
            asked -= 1
        else:
            time.now = slots.next_at or time.now
            slots.grant()
    assert asked == 0
