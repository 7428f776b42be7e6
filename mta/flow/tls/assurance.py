"""What each host of a domain must prove, by the settings, the message and what the domain says."""

from collections.abc import Sequence
from typing import Protocol

from mta.model.domain import Host, TlsDemand, TlsLevel
from mta.model.outcome import Outcome
from mta.model.request import MessageRequest

from mta.rules.tls.demand import demand_of, is_published_heard, is_vouched_for, unproven

from mta.flow.ports import Session
from mta.flow.tls.tlsrecord import TlsRecord


class TlsPolicies(Protocol):
    """One way in which a domain says what TLS its hosts have: DANE, for one."""

    async def demand(
        self, host: str, domain: str, *, is_secure: bool
    ) -> TlsDemand | Outcome | None:
        """What it asks of everybody who sends to `host`; None where it says nothing.

        `is_secure`: the answer that named `host` was signed. The outcome is why no mail may go to
        that host now; its scope is HOST.
        """


class Assurance:
    """Says what a connection must prove, host by host.

    Of the policies the first counts that asks for a proof. TLSA records of which none can be used
    ask for none, and do not outdo MTA-STS (RFC 8461 §2).

    `record` is where it is remembered what became of that.
    """

    def __init__(
        self, policies: Sequence[TlsPolicies] = (), *, record: TlsRecord | None = None
    ) -> None:
        self._policies = policies
        self._record = record

    async def demand(
        self,
        host: str,
        domain: str,
        request: MessageRequest,
        floor: TlsDemand,
        *,
        is_secure: bool,
    ) -> TlsDemand | Outcome:
        """What `host`, an exchanger of `domain`, must prove before it gets a message.

        `floor` is what the settings ask for. `is_secure`: the answer that named the host was
        signed. The outcome says why this message may not go there now; its scope is HOST.
        """
        published: TlsDemand | None = None
        if self._policies and is_published_heard(request, floor):
            found = await self._published(host, domain, is_secure=is_secure)
            if isinstance(found, Outcome):
                if self._record is not None:
                    self._record.refused(host, domain, found)
                return found
            published = found
        if request.needs_tls and not is_vouched_for(host, domain, published, is_secure=is_secure):
            return unproven(host, domain)
        demand = demand_of(request, floor, published)
        if self._record is None or not is_published_heard(request, floor):
            return demand
        return self._record.adjusted(demand, host, domain)

    def noted(
        self,
        host: Host,
        domain: str,
        request: MessageRequest,
        demand: TlsDemand,
        reached: Session | Outcome,
    ) -> Session | Outcome:
        """What came of connecting to an exchanger of `domain`, with what that means.

        `demand` is what was asked of this connection. What a sender waives is no news of the
        domain, and a report on TLS is not to be in the next one (RFC 8460 §3).
        """
        if self._record is None or request.waives_tls:
            return reached
        return self._record.noted(host, domain, demand, reached)

    async def _published(
        self, host: str, domain: str, *, is_secure: bool
    ) -> TlsDemand | Outcome | None:
        without_proof: TlsDemand | None = None
        for policies in self._policies:
            found = await policies.demand(host, domain, is_secure=is_secure)
            if isinstance(found, Outcome):
                return found
            if found is not None and found.level is TlsLevel.VERIFY:
                return found
            without_proof = without_proof or found
        return without_proof
