"""Logging in: who is it, and has he failed too often?

A password is looked at in one place, one at a time, so that no number of connections at once
gets more guesses than one after the other would. What is unknown takes as long as what is known.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping

from mta.model.event import Event, Kind
from mta.model.user import Account, LoginRefused, Refusal, User, token_digest

from mta.rules.submission.lockout import Claim, Failure, Lockout, network_of

from mta.flow.ports import Clock, EventLog, PasswordVerifier

REMEMBERED = 300.0  # seconds that a password which was right need not be hashed again
MAX_WAITING = 100  # logins, so 2 s of hashing; strangers have half of the room

_BUSY = LoginRefused(Refusal.BUSY, 10.0)


class Gatekeeper:
    """Keeps the promises of `Logins` with the accounts that it is given."""

    def __init__(
        self,
        accounts: Iterable[Account] = (),
        *,
        verifier: PasswordVerifier,
        events: EventLog,
        clock: Clock,
        key: bytes,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`key` is secret and of this process alone; `pause` waits so many seconds."""
        self._verifier = verifier
        self._events = events
        self._clock = clock
        self._key = key
        self._pause = pause
        self._lockout = Lockout()
        self._token_lockout = Lockout()
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._has_new_homes = False
        self._right: dict[str, tuple[bytes, float]] = {}  # what was right, and until when
        self.replace(accounts)

    def replace(self, accounts: Iterable[Account]) -> None:
        """Let these log in from now on, and nobody else."""
        self._accounts = {account.user.name: account for account in accounts}
        self._by_token = {
            token: account for account in self._accounts.values() for token in account.tokens
        }
        self._decoys = [a.password for a in self._accounts.values() if a.password]
        self._right.clear()
        self._lockout.keep(self._accounts.keys())

    def new_homes(self) -> dict[str, tuple[str, ...]] | None:
        """The networks where each user is known; None where nothing is new since it was asked."""
        if not self._has_new_homes:
            return None
        self._has_new_homes = False
        return self._lockout.homes

    def restore_homes(self, homes: Mapping[str, Iterable[str]]) -> None:
        """Know users where an earlier life of ours knew them."""
        for name, networks in homes.items():
            for network in networks if name in self._accounts else ():
                self._lockout.succeeded(Claim(name, network, exists=True))

    def user(self, name: str) -> User | None:
        """See `Logins`."""
        account = self._accounts.get(name)
        return account.user if account else None

    async def user_by_password(self, name: str, password: str, address: str) -> User | LoginRefused:
        """See `Logins`."""
        claim = Claim(name, network_of(address), name in self._accounts)
        known = self._without_hashing(claim, password)
        if known is not None:
            return known
        if self._waiting >= (MAX_WAITING if self._lockout.is_known(claim) else MAX_WAITING // 2):
            return _BUSY
        self._waiting += 1
        try:
            async with self._turn:
                known = self._without_hashing(claim, password)  # others came before
                if known is not None:
                    return known
                if await self._is_right(name, password):
                    return self._welcome(claim, password)
                failure = self._lockout.failed(claim, self._clock())
        finally:
            self._waiting -= 1
        why = "wrong password" if claim.exists else "no such user"
        return await self._refuse(failure, address, name if claim.exists else None, why)

    async def user_by_token(self, token: str, address: str) -> User | LoginRefused:
        """See `Logins`. A right token is never refused: nobody can have guessed it."""
        account = self._by_token.get(token_digest(token))
        if account is not None:
            return account.user
        claim = Claim("", network_of(address), exists=False)
        seconds = self._token_lockout.locked_for(claim, self._clock())
        if seconds > 0:
            return LoginRefused(Refusal.LOCKED, seconds)
        failure = self._token_lockout.failed(claim, self._clock())
        return await self._refuse(failure, address, None, "unknown token")

    def _without_hashing(self, claim: Claim, password: str) -> User | LoginRefused | None:
        """What can be said at once; None: nothing."""
        seconds = self._lockout.locked_for(claim, self._clock())
        if seconds > 0:
            return LoginRefused(Refusal.LOCKED, seconds)
        right, until = self._right.get(claim.name, (b"", 0.0))
        if self._clock() < until and hmac.compare_digest(right, self._proof(claim.name, password)):
            return self._at_home(claim)
        return None

    async def _is_right(self, name: str, password: str) -> bool:
        """Hash a password: for a user that is none against another's, so that it takes as long."""
        account = self._accounts.get(name)
        if account is not None and account.password:
            is_right = await self._verifier.matches(account.password, password)
            return is_right and self._accounts.get(name) is account  # or he has just been changed
        if self._decoys:
            which = int.from_bytes(self._proof(name, "")[:8], "big") % len(self._decoys)
            await self._verifier.matches(self._decoys[which], password)
        return False

    def _welcome(self, claim: Claim, password: str) -> User:
        self._right[claim.name] = self._proof(claim.name, password), self._clock() + REMEMBERED
        return self._at_home(claim)

    def _at_home(self, claim: Claim) -> User:
        self._has_new_homes |= not self._lockout.is_known(claim)
        self._lockout.succeeded(claim)
        return self._accounts[claim.name].user

    def _proof(self, name: str, password: str) -> bytes:
        """What is remembered of a password, of no use to whoever has not our key."""
        return hmac.digest(self._key, f"{name}\0{password}".encode(), "sha256")

    async def _refuse(
        self, failure: Failure, address: str, user: str | None, why: str
    ) -> LoginRefused:
        """Write a failure down, and let its author wait.

        A name that no user has may be a password in the wrong field: it is written nowhere.
        """
        now = self._clock()
        self._events.emit(
            Event(kind=Kind.LOGIN_FAILED, at=now, client=address, user=user, text=why)
        )
        for lock in failure.locks:
            text = f"{lock.whose}, for {lock.seconds / 60:.0f} minutes"
            self._events.emit(Event(kind=Kind.LOCKED, at=now, client=address, user=user, text=text))
        await self._pause(failure.delay)
        return LoginRefused(Refusal.WRONG)
