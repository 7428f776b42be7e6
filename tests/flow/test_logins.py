"""Logging in, on a verifier that says what it compared and a clock that tests turn."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from mta.model.event import Event, Kind
from mta.model.user import Account, LoginRefused, Refusal, User, token_digest

from mta.flow.submission.logins import MAX_WAITING, REMEMBERED, Gatekeeper

ANN = Account(User("ann"), "hash of secret", frozenset({token_digest("mta_1")}))
BOB = Account(User("bob"), "hash of hidden")
WRONG = LoginRefused(Refusal.WRONG)
HERE = "192.0.2.1"
PATIENCE = 10.0


class FakeVerifier:
    """Its hashes are plain to read. While `is_shut`, it thinks."""

    def __init__(self) -> None:
        self.compared: list[str] = []
        self.opened = asyncio.Event()
        self.opened.set()
        self.began = asyncio.Event()
        self.at_once = self.most_at_once = 0

    async def matches(self, hash: str, password: str) -> bool:
        self.compared.append(hash)
        self.began.set()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.opened.wait()
        self.at_once -= 1
        return hash == f"hash of {password}"


class Gate:
    """A gatekeeper and its surroundings."""

    def __init__(self, *accounts: Account) -> None:
        self.verifier = FakeVerifier()
        self.events: list[Event] = []
        self.pauses: list[float] = []
        self.now = 1_800_000_000.0
        self.keeper = Gatekeeper(
            accounts or (ANN, BOB),
            verifier=self.verifier,
            events=self,
            clock=lambda: self.now,
            key=b"key",
            pause=self._pause,
        )

    def emit(self, event: Event) -> None:
        self.events.append(event)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def login(self, name: str, password: str, address: str = HERE) -> User | LoginRefused:
        return await self.keeper.user_by_password(name, password, address)

    async def fail(self, name: str, times: int, address: str = HERE) -> None:
        for _ in range(times):
            await self.login(name, "guess", address)


def play(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)


def test_who_knows_the_password_is_the_user() -> None:
    async def scene() -> None:
        gate = Gate()

        assert await gate.login("ann", "secret") == ANN.user
        assert await gate.login("ann", "hidden") == WRONG
        assert await gate.login("bob", "secret") == WRONG
        assert await gate.login("eve", "secret") == WRONG

    play(scene())


def test_an_unknown_user_takes_as_much_hashing_as_a_known_one() -> None:
    async def scene() -> None:
        gate = Gate()

        await gate.fail("ann", 1)
        await gate.fail("nobody", 3)

        known, *unknown = gate.verifier.compared
        assert known == ANN.password
        assert len(unknown) == 3
        assert len(set(unknown)) == 1  # always the same, as for one that exists

    play(scene())


def test_a_user_without_a_password_cannot_be_told_from_nobody() -> None:
    async def scene() -> None:
        gate = Gate(ANN, Account(User("api")))

        assert await gate.login("api", "") == WRONG
        assert await gate.login("api", "secret") == WRONG  # though it is what was compared

        assert gate.verifier.compared == [ANN.password] * 2

    play(scene())


def test_a_password_that_was_right_is_not_hashed_again_for_a_while() -> None:
    async def scene() -> None:
        gate = Gate()
        await gate.login("ann", "secret")

        gate.now += REMEMBERED - 1
        assert await gate.login("ann", "secret", "203.0.113.1") == ANN.user
        assert len(gate.verifier.compared) == 1

        gate.now += 2
        assert await gate.login("ann", "secret") == ANN.user
        assert len(gate.verifier.compared) == 2

    play(scene())


def test_another_password_is_hashed_though_the_right_one_is_remembered() -> None:
    async def scene() -> None:
        gate = Gate()
        await gate.login("ann", "secret")

        assert await gate.login("ann", "guess") == WRONG
        assert len(gate.verifier.compared) == 2

    play(scene())


def test_many_at_once_get_no_more_guesses_than_one_after_the_other() -> None:
    async def scene() -> None:
        gate = Gate()

        results = await asyncio.gather(*[gate.login("ann", f"guess{n}") for n in range(50)])

        assert gate.verifier.most_at_once == 1
        assert len(gate.verifier.compared) == 10
        assert [result.why for result in results if isinstance(result, LoginRefused)] == [
            *([Refusal.WRONG] * 10),
            *([Refusal.LOCKED] * 40),
        ]

    play(scene())


def test_many_first_logins_at_once_take_one_hash() -> None:
    async def scene() -> None:
        gate = Gate()

        results = await asyncio.gather(*[gate.login("ann", "secret") for _ in range(50)])

        assert results == [ANN.user] * 50
        assert len(gate.verifier.compared) == 1

    play(scene())


def test_too_many_at_once_are_told_to_come_back_and_those_known_go_before() -> None:
    async def scene() -> None:
        gate = Gate()
        await gate.login("ann", "secret")
        gate.now += REMEMBERED
        gate.verifier.opened.clear()
        gate.verifier.began.clear()
        rush = [
            asyncio.create_task(gate.login("eve", "x", f"203.0.113.{n}"))
            for n in range(MAX_WAITING)
        ]
        async with asyncio.timeout(PATIENCE):
            await gate.verifier.began.wait()

        stranger = await gate.login("bob", "hidden", "203.0.113.200")
        known = asyncio.create_task(gate.login("ann", "secret"))
        await asyncio.sleep(0)
        gate.verifier.opened.set()

        assert isinstance(stranger, LoginRefused)
        assert stranger.why is Refusal.BUSY
        assert stranger.retry_after > 0
        assert await known == ANN.user
        await asyncio.gather(*rush)

    play(scene())


def test_each_failure_is_answered_later_than_the_one_before() -> None:
    async def scene() -> None:
        gate = Gate()

        await gate.fail("ann", 5)

        assert gate.pauses == [1, 2, 4, 8, 8]

    play(scene())


def test_a_lock_is_in_force_for_the_right_password_too_and_costs_no_hash() -> None:
    async def scene() -> None:
        gate = Gate()
        await gate.fail("ann", 10)
        compared = len(gate.verifier.compared)

        assert await gate.login("ann", "secret") == LoginRefused(Refusal.LOCKED, 900.0)
        assert len(gate.verifier.compared) == compared

        gate.now += 900
        assert await gate.login("ann", "secret") == ANN.user

    play(scene())


def test_after_a_restart_a_user_is_at_home_where_he_was() -> None:
    async def scene() -> None:
        before, after = Gate(), Gate(ANN)
        await before.login("ann", "secret")
        await before.login("bob", "hidden")
        homes = before.keeper.new_homes()
        assert homes == {"ann": (HERE,), "bob": (HERE,)}
        await before.login("ann", "secret")
        assert before.keeper.new_homes() is None

        after.keeper.restore_homes(homes)
        for n in range(20):
            await after.fail("ann", 1, f"203.0.113.{n}")

        assert await after.login("ann", "secret", "203.0.113.99") == LoginRefused(
            Refusal.LOCKED, 900.0
        )
        assert await after.login("ann", "secret") == ANN.user
        assert after.keeper._lockout.homes == {"ann": (HERE,)}  # bob is no user any more

    play(scene())


def test_failures_and_locks_are_written_down_without_what_may_be_a_password() -> None:
    async def scene() -> None:
        gate = Gate()

        await gate.fail("ann", 1)
        await gate.fail("S3cret!", 9)

        failed = [event for event in gate.events if event.kind is Kind.LOGIN_FAILED]
        [locked] = [event for event in gate.events if event.kind is Kind.LOCKED]
        assert [(event.user, event.text) for event in failed[:2]] == [
            ("ann", "wrong password"),
            (None, "no such user"),
        ]
        assert {event.client for event in failed} == {HERE}
        assert locked.text == "192.0.2.1, for 15 minutes"
        assert not any("S3cret!" in repr(event) or "guess" in repr(event) for event in gate.events)

    play(scene())


def test_accounts_that_are_replaced_count_at_once() -> None:
    async def scene() -> None:
        gate = Gate()
        await gate.login("ann", "secret")

        gate.keeper.replace([Account(User("ann"), "hash of other"), BOB])

        assert await gate.login("ann", "secret") == WRONG
        assert await gate.login("ann", "other") == User("ann")
        assert gate.keeper.user("eve") is None

    play(scene())


def test_a_password_changed_while_it_is_looked_at_is_wrong() -> None:
    async def scene() -> None:
        gate = Gate()
        gate.verifier.opened.clear()
        login = asyncio.create_task(gate.login("ann", "secret"))
        async with asyncio.timeout(PATIENCE):
            await gate.verifier.began.wait()
        gate.keeper.replace([BOB])
        gate.verifier.opened.set()

        assert await login == WRONG

    play(scene())


def test_a_token_is_its_users() -> None:
    async def scene() -> None:
        gate = Gate()

        assert await gate.keeper.user_by_token("mta_1", HERE) == ANN.user
        assert await gate.keeper.user_by_token("mta_2", HERE) == WRONG
        assert await gate.keeper.user_by_token("", HERE) == WRONG
        assert gate.pauses == [1, 2]

    play(scene())


def test_wrong_tokens_are_looked_at_no_more_in_the_end_but_right_ones_are() -> None:
    async def scene() -> None:
        gate = Gate()
        for _ in range(10):
            await gate.keeper.user_by_token("mta_2", HERE)

        refused = await gate.keeper.user_by_token("mta_2", HERE)

        assert refused == LoginRefused(Refusal.LOCKED, 900.0)
        assert await gate.keeper.user_by_token("mta_1", HERE) == ANN.user
        assert await gate.login("ann", "secret") == ANN.user

    play(scene())
