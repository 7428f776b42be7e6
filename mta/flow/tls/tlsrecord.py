"""What came of TLS, connection by connection: remembered, counted, told of."""

from collections import OrderedDict
from dataclasses import replace

from mta.model.domain import Host, Tlsa, TlsDemand, TlsFailure, TlsLevel, TlsProof
from mta.model.event import Event, Kind
from mta.model.outcome import Outcome, Stage
from mta.model.policy import StsMode, StsPolicy
from mta.model.tlsreport import Applied, Failing, PolicyKind

from mta.rules.tls.demand import raised, tentative
from mta.rules.tls.memory import TlsMemory
from mta.rules.tls.mtasts import lines_of, lists, unlisted
from mta.rules.tls.tally import Tally

from mta.flow.ports import Clock, EventLog, Session
from mta.flow.tls.policies import NOTHING, Policies, Published

TOLD_EVERY = 3600.0  # seconds, for one domain
_MOST_TOLD = 10_000  # domains

_IN_CLEAR = TlsDemand(TlsLevel.NONE)


class TlsRecord:
    """Remembers what domains and hosts had, and counts it under what their domains publish.

    `tries_testing`: a policy in testing mode is tried, so that its domain hears of what fails.
    """

    def __init__(
        self,
        *,
        policies: Policies,
        memory: TlsMemory,
        tally: Tally,
        events: EventLog,
        clock: Clock,
        tries_testing: bool = False,
    ) -> None:
        self.tries_testing = tries_testing
        self._policies = policies
        self._memory = memory
        self._tally = tally
        self._events = events
        self._clock = clock
        self._told: OrderedDict[str, float] = OrderedDict()

    def adjusted(self, demand: TlsDemand, host: str, domain: str) -> TlsDemand:
        """The demand in the light of what is remembered of a host and its domain."""
        now = self._clock()
        level = self._memory.level_of(domain, now)
        if level is not TlsLevel.OPPORTUNISTIC:
            demand = raised(demand, level)
        elif (
            demand.level is TlsLevel.OPPORTUNISTIC
            and not demand.is_implicit
            and self._memory.is_broken(host, now)
        ):
            demand = _IN_CLEAR
        if self.tries_testing and not demand.tlsa and self._is_tested(host, domain):
            return tentative(demand)
        return demand

    def refused(self, host: str, domain: str, outcome: Outcome) -> None:
        """What a domain publishes, or how, keeps us from a host."""
        if outcome.tls_failure is not None:
            failing = Failing(outcome.tls_failure, host, text=outcome.reply.text)
            self._tally.failed(_applied(domain, self._published(domain)), failing, self._clock())

    def noted(
        self, host: Host, domain: str, demand: TlsDemand, reached: Session | Outcome
    ) -> Session | Outcome:
        """The same, with what it means; `demand` is what was asked of this connection."""
        now, published = self._clock(), self._published(domain)
        if isinstance(reached, Outcome):
            return self._failed(host, domain, demand, reached) if _is_tls(reached) else reached
        tls = reached.tls
        if tls is not None:
            self._memory.works(host.name)
            is_enforced = (
                demand.level is TlsLevel.VERIFY
                and tls.proof == TlsProof.PKIX
                and published.policy is not None
                and published.policy.mode is StsMode.ENFORCE
            )
            self._memory.saw(domain, tls, now, is_enforced=is_enforced)
        elif demand.level is TlsLevel.NONE and self._memory.went_in_clear(host.name, now):
            text = "its handshake failed, and it takes mail in clear"
            self._events.emit(Event(kind=Kind.TLS_BROKEN, at=now, host=host, text=text))
        self._count(host, domain, demand, published, has_tls=tls is not None)
        return reached

    def _failed(
        self, host: Host, domain: str, demand: TlsDemand, outcome: Outcome
    ) -> Session | Outcome:
        now, published = self._clock(), self._published(domain)
        kind = outcome.tls_failure or TlsFailure.VALIDATION_FAILURE
        failing = Failing(kind, host.name, host.address, outcome.reply.text)
        self._tally.failed(_applied(domain, published, demand), failing, now)
        is_last = demand.otherwise is None
        if not is_last or self._memory.level_of(domain, now) is TlsLevel.OPPORTUNISTIC:
            return outcome
        had = f"{domain} had TLS, and {host.name} has none that will do"
        self._tell_lost(host, domain, had, now)
        if demand.tlsa or published.policy is not None or outcome.is_from_peer:
            return outcome
        reply = replace(outcome.reply, text=f"{had}: {outcome.reply.text}")
        return replace(outcome, reply=reply)

    def _tell_lost(self, host: Host, domain: str, text: str, now: float) -> None:
        """Say once in a while that a domain lost what it had."""
        if 0 <= now - self._told.get(domain, 0.0) < TOLD_EVERY:
            return
        self._told[domain] = now
        if len(self._told) > _MOST_TOLD:
            self._told.popitem(last=False)
        until = self._memory.held_until(domain)
        event = Event(kind=Kind.TLS_LOST, at=now, host=host, next_at=until, text=text)
        self._events.emit(event)

    def _count(
        self, host: Host, domain: str, demand: TlsDemand, published: Published, *, has_tls: bool
    ) -> None:
        """Count a connection that was had; what is wrong with it is wrong with the policy."""
        now, applied = self._clock(), _applied(domain, published, demand)
        if published.trouble is not None and not demand.tlsa:
            failing = Failing(published.trouble, text=published.text)
            self._tally.failed(applied, failing, now)
        elif not has_tls:
            kind = TlsFailure.STARTTLS_NOT_SUPPORTED
            if demand.level is TlsLevel.NONE:
                kind = TlsFailure.VALIDATION_FAILURE
            self._tally.failed(applied, Failing(kind, host.name, host.address), now)
        elif not self._is_after_a_trial(published.policy, demand):
            self._tally.succeeded(applied, now)

    def _is_after_a_trial(self, policy: StsPolicy | None, demand: TlsDemand) -> bool:
        """Whether this is the second connection, and the first was counted as a failure."""
        return (
            self.tries_testing
            and policy is not None
            and policy.mode is StsMode.TESTING
            and demand.level is not TlsLevel.VERIFY
        )

    def _is_tested(self, host: str, domain: str) -> bool:
        """Whether a host is to prove who it is as a trial; one that is not listed has failed it."""
        published = self._published(domain)
        policy = published.policy
        if policy is None or policy.mode is not StsMode.TESTING:
            return False
        if lists(policy, host):
            return True
        failing = Failing(
            TlsFailure.VALIDATION_FAILURE, host, text=unlisted(host, domain).reply.text
        )
        self._tally.failed(_applied(domain, published), failing, self._clock())
        return False

    def _published(self, domain: str) -> Published:
        return self._policies.known(domain) or NOTHING


def _is_tls(outcome: Outcome) -> bool:
    return outcome.stage is Stage.TLS


def _applied(domain: str, published: Published, demand: TlsDemand | None = None) -> Applied:
    """The policy that a connection was under; without a demand none was made."""
    if demand is not None and demand.tlsa:
        lines = [
            f"{one.usage} {one.selector} {one.matching} {one.data.hex()}" for one in demand.tlsa
        ]
        return Applied(domain, PolicyKind.TLSA, tuple(lines))
    policy = published.policy
    if policy is not None:
        return Applied(domain, PolicyKind.STS, tuple(lines_of(policy)), policy.mx)
    return Applied(domain, PolicyKind.STS if published.trouble else PolicyKind.NONE)


def _said(record: Tlsa) -> str:
    return f"{record.usage} {record.selector} {record.matching} {record.data.hex()}"
