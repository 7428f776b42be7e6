"""Who is locked out, for how long, and who never is."""

import pytest

from mta.rules.submission.lockout import Claim, Lock, Lockout, LockoutPlan, network_of

PLAN = LockoutPlan(failures=3, failures_of_user=5)
ANN_AT_HOME = Claim("ann", "192.0.2.1", exists=True)
NOW = 1_800_000_000.0
MINUTE = 60.0


def stranger(number: int, name: str = "ann", *, exists: bool = True) -> Claim:
    return Claim(name, f"203.0.113.{number}", exists)


def fail(lockout: Lockout, claim: Claim, times: int, now: float = NOW) -> list[Lock]:
    return [lock for _ in range(times) for lock in lockout.failed(claim, now).locks]


def test_a_network_is_locked_after_its_last_failure_that_is_forgiven() -> None:
    lockout = Lockout(PLAN)

    assert fail(lockout, stranger(1), 2) == []
    assert lockout.locked_for(stranger(1), NOW) == 0
    assert fail(lockout, stranger(1), 1) == [Lock("203.0.113.1", 15 * MINUTE)]

    assert lockout.locked_for(stranger(1), NOW) == 15 * MINUTE
    assert lockout.locked_for(stranger(1, "bob"), NOW + 5 * MINUTE) == 10 * MINUTE
    assert lockout.locked_for(stranger(2, "bob"), NOW) == 0
    assert lockout.locked_for(stranger(1), NOW + 15 * MINUTE) == 0


def test_each_lock_is_twice_as_long_as_the_one_before_up_to_a_day() -> None:
    lockout, now, lengths = Lockout(PLAN), NOW, []

    for _ in range(9):
        [lock] = fail(lockout, Claim("", "203.0.113.1", exists=False), 3, now)
        lengths.append(lock.seconds / MINUTE)
        now += lock.seconds

    assert lengths == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]


def test_failures_are_forgotten_after_an_hour_of_peace() -> None:
    lockout = Lockout(PLAN)

    fail(lockout, stranger(1), 2)

    assert fail(lockout, stranger(1), 2, NOW + 61 * MINUTE) == []


def test_a_refusal_takes_longer_each_time_up_to_a_bound() -> None:
    lockout = Lockout(LockoutPlan())

    delays = [lockout.failed(stranger(1), NOW).delay for _ in range(10)]

    assert delays == [1, 2, 4, 8, 8, 8, 8, 8, 8, 8]


def test_a_user_is_locked_for_strangers_wherever_they_come_from() -> None:
    lockout = Lockout(PLAN)

    locks = [lock for n in range(5) for lock in fail(lockout, stranger(n), 1)]

    assert locks == [Lock("ann wherever he is not known", 15 * MINUTE)]
    assert lockout.locked_for(stranger(9), NOW) == 15 * MINUTE
    assert lockout.locked_for(stranger(9, "bob"), NOW) == 0


def test_a_name_that_no_user_has_is_locked_like_one_that_a_user_has() -> None:
    lockout = Lockout(PLAN)

    for n in range(5):
        fail(lockout, stranger(n, "nobody", exists=False), 1)

    assert lockout.locked_for(stranger(9, "nobody", exists=False), NOW) == 15 * MINUTE


def test_strangers_cannot_lock_a_user_out_of_where_he_has_logged_in() -> None:
    lockout = Lockout(PLAN)
    lockout.succeeded(ANN_AT_HOME)

    for n in range(50):
        fail(lockout, stranger(n), 2)

    assert lockout.locked_for(stranger(99), NOW) > 0
    assert lockout.locked_for(ANN_AT_HOME, NOW) == 0


def test_neighbours_cannot_lock_a_user_out_of_where_he_has_logged_in() -> None:
    lockout = Lockout(PLAN)
    lockout.succeeded(ANN_AT_HOME)

    fail(lockout, Claim("bob", ANN_AT_HOME.network, exists=True), 3)

    assert lockout.locked_for(Claim("eve", ANN_AT_HOME.network, exists=True), NOW) > 0
    assert lockout.locked_for(ANN_AT_HOME, NOW) == 0


def test_a_user_who_fails_at_home_is_locked_there_alone() -> None:
    lockout = Lockout(PLAN)
    lockout.succeeded(ANN_AT_HOME)

    assert fail(lockout, ANN_AT_HOME, 3) == [Lock("ann at 192.0.2.1", 15 * MINUTE)]

    assert lockout.locked_for(ANN_AT_HOME, NOW) == 15 * MINUTE
    assert lockout.locked_for(Claim("bob", ANN_AT_HOME.network, exists=True), NOW) == 0
    assert lockout.locked_for(stranger(1), NOW) == 0


def test_a_login_of_his_own_does_not_clear_the_slate_of_who_guesses_at_others() -> None:
    lockout = Lockout(PLAN)
    mallory = Claim("mallory", "203.0.113.1", exists=True)

    fail(lockout, stranger(1), 2)
    lockout.succeeded(mallory)

    assert [lock.whose for lock in fail(lockout, stranger(1), 1)] == ["203.0.113.1"]


def test_this_machine_is_not_locked_as_a_network() -> None:
    lockout = Lockout(PLAN)

    fail(lockout, Claim("bob", "", exists=True), 4)

    assert lockout.locked_for(Claim("ann", "", exists=True), NOW) == 0


def test_strangers_fill_no_memory_and_push_no_user_out_of_it() -> None:
    lockout = Lockout(PLAN, size=10)
    for n in range(5):
        fail(lockout, stranger(n), 1)

    for n in range(100):
        fail(lockout, Claim(f"name{n}", f"198.51.100.{n}", exists=False), 1)
        lockout.succeeded(Claim("bob", f"198.51.100.{n}", exists=True))

    assert lockout.locked_for(stranger(99), NOW) > 0
    assert len(lockout._networks) == len(lockout._strange_names) == 10
    assert len(lockout._known["bob"]) == 16


def test_who_is_no_user_any_more_is_forgotten() -> None:
    lockout = Lockout(PLAN)
    lockout.succeeded(ANN_AT_HOME)
    fail(lockout, stranger(1), 1)

    lockout.keep({"bob"})

    assert not lockout.is_known(ANN_AT_HOME)
    assert lockout._users == {}


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("", ""),
        ("local", ""),
    ],
)
def test_an_ipv6_client_is_counted_by_its_network(address: str, network: str) -> None:
    assert network_of(address) == network
