"""Who failed to log in so often that no further try is looked at, and for how long.

Failures are counted against the client's network, against the user that was claimed, and against
the two together. Whoever has logged in from a network before is known there, and is judged by
what the two did together alone: so nobody can lock a user out of a place where he is at home, by
guessing at his password from elsewhere or at other users' from beside him.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from mta.model.site import site_of
from mta.model.value import value

_KNOWN_NETWORKS = 16  # of one user; past that the one he used longest ago is forgotten


@value
class LockoutPlan:
    """How many failures are forgiven, and what follows. Times are in seconds."""

    failures: int = 10  # of one network, or of a user at a network where he is known
    failures_of_user: int = 20  # of all networks where he is not known, together
    memory: float = 3600.0  # without another failure
    first_lock: float = 900.0  # then twice as long each time, up to:
    longest_lock: float = 86_400.0
    longest_delay: float = 8.0  # of a refusal; the first takes a second, then twice as long


class Claim(NamedTuple):
    """Somebody at `network` ("": not to be counted) claims to be `name` ("": only has a token).

    `exists` says whether there is such a user.
    """

    name: str
    network: str
    exists: bool


class Failure(NamedTuple):
    """What follows a failure: the refusal comes after `delay`, and `locks` are in force now."""

    delay: float
    locks: tuple["Lock", ...]


class Lock(NamedTuple):
    """No login of `whose` (in words) is looked at for so many seconds."""

    whose: str
    seconds: float


@lru_cache(4_096)
def network_of(address: str) -> str:
    """What a client's IP address is counted as.

    "" for this machine, where all programs and proxies have one address, and for what is none.
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if ip.is_loopback:
        return ""
    return site_of(str(ip))


@dataclass(slots=True)
class _Tally:
    """Failures of one kind."""

    failures: int = 0
    failed_at: float = 0.0
    locked_until: float = 0.0
    locks: int = 0  # so far


class _Table(OrderedDict[str, _Tally]):
    """Tallies by a name that strangers choose: so many at most, then the oldest is forgotten."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def of(self, key: str) -> _Tally:
        """The tally of `key`, which is now the youngest."""
        tally = self.setdefault(key, _Tally())
        self.move_to_end(key)
        if len(self) > self._size:
            self.popitem(last=False)
        return tally


class Lockout:
    """Keeps the tallies. Its memory has a bound, whatever strangers do."""

    def __init__(self, plan: LockoutPlan | None = None, *, size: int = 10_000) -> None:
        """`size`: of how many networks, and of how many unknown names, failures are remembered."""
        self._plan = plan or LockoutPlan()
        self._networks = _Table(size)
        self._strange_names = _Table(size)
        self._users: dict[str, _Tally] = {}  # never forgotten for strangers' sake
        self._known: dict[str, OrderedDict[str, _Tally]] = {}  # user, network

    @property
    def homes(self) -> dict[str, tuple[str, ...]]:
        """The networks where each user is known, those he used longest ago first."""
        return {name: tuple(networks) for name, networks in self._known.items()}

    def is_known(self, claim: Claim) -> bool:
        """Whether this user has logged in from this network before."""
        return claim.network in self._known.get(claim.name, ())

    def locked_for(self, claim: Claim, now: float) -> float:
        """Seconds for which no login of this claim is looked at; 0: it is."""
        if self.is_known(claim):
            tallies = [self._known[claim.name][claim.network]]
        else:
            found = (self._networks.get(claim.network), self._names(claim).get(claim.name))
            tallies = [tally for tally in found if tally is not None]
        return max([0.0, *(tally.locked_until - now for tally in tallies)])

    def failed(self, claim: Claim, now: float) -> Failure:
        """Count a login that failed."""
        delay, locks = 1.0, []
        for tally, limit, whose in self._judged(claim):
            seconds = self._count(tally, limit, now)
            delay = max(delay, self._delay(limit if seconds else tally.failures))
            if seconds:
                locks.append(Lock(whose, seconds))
        return Failure(delay, tuple(locks))

    def succeeded(self, claim: Claim) -> None:
        """Know this user at this network from now on.

        What the network and others did is not forgotten: a user of ours could guess at another's
        password, and clear his slate by logging in himself now and then.
        """
        networks = self._known.setdefault(claim.name, OrderedDict())
        networks[claim.network] = _Tally()
        networks.move_to_end(claim.network)
        if len(networks) > _KNOWN_NETWORKS:
            networks.popitem(last=False)

    def keep(self, names: Collection[str]) -> None:
        """Forget users that are no more."""
        for table in (self._users, self._known):
            for name in [name for name in table if name not in names]:
                del table[name]

    def _judged(self, claim: Claim) -> Iterator[tuple[_Tally, int, str]]:
        """The tallies that a failure counts in, with their limits, and whose they are."""
        plan = self._plan
        if self.is_known(claim):
            whose = f"{claim.name} at {claim.network or 'this machine'}"
            yield self._known[claim.name][claim.network], plan.failures, whose
            return
        if claim.network:
            yield self._networks.of(claim.network), plan.failures, claim.network
        if claim.exists:
            whose = f"{claim.name} wherever he is not known"
            tally = self._users.setdefault(claim.name, _Tally())
            yield tally, plan.failures_of_user, whose
        elif claim.name:
            tally = self._strange_names.of(claim.name)
            yield tally, plan.failures_of_user, "a name that no user has"

    def _names(self, claim: Claim) -> dict[str, _Tally]:
        return self._users if claim.exists else self._strange_names

    def _count(self, tally: _Tally, limit: int, now: float) -> float:
        """Add a failure; gives for how long that locks, 0 if it does not."""
        plan = self._plan
        if now - max(tally.failed_at, tally.locked_until) > plan.memory:
            tally.failures = tally.locks = 0
        tally.failures += 1
        tally.failed_at = now
        if tally.failures < limit:
            return 0.0
        seconds: float = min(plan.first_lock * 2 ** min(tally.locks, 32), plan.longest_lock)
        tally.locked_until = now + seconds
        tally.locks += 1
        tally.failures = 0
        return seconds

    def _delay(self, failures: int) -> float:
        return min(2.0 ** min(failures - 1, 32), self._plan.longest_delay)
