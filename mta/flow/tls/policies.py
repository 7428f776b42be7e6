"""The MTA-STS policies of domains: found, fetched, kept and renewed (RFC 8461 §5.1).

A domain without one costs a TXT query now and then. One whose policy is new, or another than the
one that is held, is waited for; whatever else happens to a policy happens behind the mail.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from mta.model.domain import TlsDemand, TlsFailure, TlsLevel
from mta.model.outcome import Outcome
from mta.model.policy import HeldPolicy, StsMode, StsPolicy, Unreached
from mta.model.value import value

from mta.rules.tls.mtasts import (
    MAX_POLICY,
    POLICY_PATH,
    PolicyError,
    is_due,
    is_forgotten,
    lists,
    policy_host,
    policy_id,
    read_policy,
    record_name,
    unlisted,
)

from mta.flow.ports import Clock, Texts, Web

log = logging.getLogger(__name__)

RECHECK = 300.0  # seconds that what was found holds; what fails is tried no sooner, RFC 8461 §3.3
RETRY = 3600.0  # seconds between attempts to renew a policy
RENEWALS_AT_ONCE = 5
MAX_DOMAINS = 10_000
MAX_WEIGHT = 8 << 20  # characters of all policies together

T = TypeVar("T")


@value
class Published:
    """What a domain asks for: its policy, if there is one to be kept.

    `trouble` is why there is none although the domain has one; `text` says it in words.
    """

    policy: StsPolicy | None = None
    trouble: TlsFailure | None = None
    text: str = ""


NOTHING = Published()


class Policies:
    """Knows the policy of each domain; a held one counts until it expires, whatever happens.

    `on_relaxed` is told of domains whose policy asks for nothing to be enforced.
    """

    def __init__(
        self,
        *,
        texts: Texts,
        web: Web,
        clock: Clock,
        on_relaxed: Callable[[str], None] = lambda domain: None,
    ) -> None:
        self.texts = texts
        self.web = web
        self._clock = clock
        self._on_relaxed = on_relaxed
        self._held: OrderedDict[str, HeldPolicy] = OrderedDict()  # longest unused first
        self._known: OrderedDict[str, tuple[Published, float]] = OrderedDict()  # with its end
        self._tried_at: dict[str, float] = {}  # renewals that failed
        self._weight = 0
        self._under_way: dict[str, asyncio.Task[Published]] = {}
        self._is_changed = False

    async def demand(
        self, host: str, domain: str, *, is_secure: bool
    ) -> TlsDemand | Outcome | None:
        """See `TlsPolicies`. A signed answer is no policy, nor in the way of one."""
        policy = (await self.of(domain)).policy
        if policy is None or policy.mode is not StsMode.ENFORCE:
            return None
        return TlsDemand(TlsLevel.VERIFY) if lists(policy, host) else unlisted(host, domain)

    async def of(self, domain: str) -> Published:
        """What a domain publishes; `domain` is in lower-case A-labels, or no name at all."""
        found = self.known(domain)
        if found is not None:
            return found
        # One who gives up must not take the answer from the others.
        return await asyncio.shield(self._under_way.get(domain) or self._start(domain))

    def known(self, domain: str) -> Published | None:
        """The same, as far as it is known without asking anybody."""
        known = self._known.get(domain)
        if known is not None and 0 < known[1] - self._clock() <= RETRY:
            return known[0]
        return NOTHING if domain.startswith("[") else None

    async def renew_due(self) -> None:
        """Fetch those anew that are held for long, so that none expires while it is in use."""
        now = self._clock()
        self._forget(now)
        due = [
            domain
            for domain, held in self._held.items()
            if is_due(held, now) and now - self._tried_at.get(domain, 0.0) >= RETRY
        ]
        await asyncio.gather(*map(self._renew, due[:RENEWALS_AT_ONCE]))

    def forget(self, domain: str) -> bool:
        """Let go of a policy, to be found anew; whether there was one."""
        was_held = domain in self._held
        self._drop(domain)
        self._known.pop(domain, None)
        return was_held

    def changed(self) -> dict[str, HeldPolicy] | None:
        """What is to be kept over a restart; None where nothing is new since it was asked for."""
        if not self._is_changed:
            return None
        self._is_changed = False
        return dict(self._held)

    def restore(self, held: Mapping[str, HeldPolicy]) -> None:
        """Go on where an earlier life of ours ended."""
        for domain, one in held.items():
            self._hold(domain, one)
        self._is_changed = False

    def _start(self, domain: str) -> asyncio.Task[Published]:
        task = asyncio.create_task(self._find(domain), name=f"policy of {domain}")
        self._under_way[domain] = task
        task.add_done_callback(lambda _: self._under_way.pop(domain))
        return task

    async def _find(self, domain: str) -> Published:
        answer = await self.texts.txt(record_name(domain))
        found = await self._published(domain, policy_id(answer.records))
        _put(self._known, domain, (found, self._clock() + self._lasting(domain)))
        return found

    async def _published(self, domain: str, id: str | None) -> Published:
        """What holds where the TXT record has this id.

        No record says nothing about a policy that is held: whoever forges answers could take it
        away (RFC 8461 §10.2).
        """
        held = self._valid(domain)
        if held is None and id is None:
            return NOTHING
        if held is None or id not in (None, held.id):
            fetched = await self._fetch(domain, id or "")
            if isinstance(fetched, HeldPolicy):
                held = fetched
            elif held is None:
                return fetched
            else:
                self._tried_at[domain] = self._clock()
        self._use(domain, held)
        return NOTHING if held.policy.mode is StsMode.NONE else Published(held.policy)

    def _lasting(self, domain: str) -> float:
        held = self._held.get(domain)
        if held is None:
            return RECHECK
        # Mail is not to wait every five minutes for what can be done without.
        longest = RETRY if domain in self._tried_at else RECHECK
        return min(longest, held.expires_at - self._clock())

    async def _renew(self, domain: str) -> None:
        """Fetch a policy that is held, whatever its TXT record says."""
        held = self._held[domain]
        answer = await self.texts.txt(record_name(domain))
        fetched = await self._fetch(domain, policy_id(answer.records) or held.id)
        if isinstance(fetched, HeldPolicy) or domain not in self._held:
            return
        self._tried_at[domain] = self._clock()
        if held.policy.mode is not StsMode.NONE:  # whoever gives it up may say so for long, §8.3
            hours = (held.expires_at - self._clock()) / 3600
            log.warning(
                "the MTA-STS policy of %s cannot be renewed, and holds for %.0f more hours: %s",
                domain,
                hours,
                fetched.text,
            )

    async def _fetch(self, domain: str, id: str) -> HeldPolicy | Published:
        """A policy that is held from now on; or that there is none, and why."""
        octets = await self.web.text(policy_host(domain), POLICY_PATH, limit=MAX_POLICY)
        if isinstance(octets, Unreached):
            is_certificate = octets.is_certificate
            failure = (
                TlsFailure.STS_WEBPKI_INVALID
                if is_certificate
                else TlsFailure.STS_POLICY_FETCH_ERROR
            )
            return Published(trouble=failure, text=octets.text)
        try:
            policy = read_policy(octets)
        except PolicyError as error:
            return Published(trouble=TlsFailure.STS_POLICY_INVALID, text=str(error))
        now = self._clock()
        before = self._held.get(domain)
        held = HeldPolicy(policy, id, now, before.used_at if before else now)
        self._hold(domain, held)
        self._known.pop(domain, None)
        if policy.mode is not StsMode.ENFORCE:
            self._on_relaxed(domain)
        return held

    def _valid(self, domain: str) -> HeldPolicy | None:
        held = self._held.get(domain)
        return held if held is not None and self._clock() < held.expires_at else None

    def _use(self, domain: str, held: HeldPolicy) -> None:
        self._held.move_to_end(domain)
        if self._clock() - held.used_at > 86_400:
            self._hold(domain, replace(held, used_at=self._clock()))

    def _hold(self, domain: str, held: HeldPolicy) -> None:
        self._drop(domain)
        self._held[domain] = held
        self._weight += _weight(held)
        self._is_changed = True
        while len(self._held) > MAX_DOMAINS or (self._weight > MAX_WEIGHT and len(self._held) > 1):
            self._drop(next(iter(self._held)))

    def _drop(self, domain: str) -> None:
        held = self._held.pop(domain, None)
        if held is not None:
            self._weight -= _weight(held)
            self._tried_at.pop(domain, None)
            self._is_changed = True

    def _forget(self, now: float) -> None:
        for domain in [domain for domain, held in self._held.items() if is_forgotten(held, now)]:
            self._drop(domain)


def _weight(held: HeldPolicy) -> int:
    return sum(map(len, held.policy.mx))


def _put(into: OrderedDict[str, T], domain: str, found: T) -> None:
    into[domain] = found
    into.move_to_end(domain)
    if len(into) > MAX_DOMAINS:
        into.popitem(last=False)
