"""What the connection to a host must prove, and what may be tried when it cannot."""

from collections.abc import Sequence
from dataclasses import replace

from mta.model.domain import TlsDemand, TlsFacts, TlsLevel
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict
from mta.model.request import MessageRequest

_LEVELS = tuple(TlsLevel)  # from nothing to everything
_VERIFY = _LEVELS.index(TlsLevel.VERIFY)


def demand_for(
    floor: TlsLevel, *, is_implicit: bool = False, fingerprints: Sequence[str] = ()
) -> TlsDemand:
    """What to ask of a connection, where the settings ask for `floor`, or name the certificates.

    `is_implicit`: the road's port speaks TLS from the first byte, as a smarthost's may.
    """
    if fingerprints:
        return TlsDemand(TlsLevel.FINGERPRINT, is_implicit, fingerprints=tuple(fingerprints))
    return TlsDemand(floor, is_implicit)


def is_published_heard(request: MessageRequest, road: TlsDemand) -> bool:
    """Whether it matters to a message, on a road with this floor, what the domain publishes.

    A certificate that the settings name is the operator's own proof. A sender who waives what is
    published waives nothing of the settings, which are ours (RFC 8689 §3).
    """
    return road.level is not TlsLevel.FINGERPRINT and (request.needs_tls or not request.waives_tls)


def demand_of(
    request: MessageRequest, road: TlsDemand, published: TlsDemand | None = None
) -> TlsDemand:
    """What one message asks of a connection, on a road where the settings ask for `road`.

    `published` is what the recipients' domain asks of all who send there, None for nothing; where
    both ask for as much, it is the domain that knows how its hosts prove who they are.
    """
    if published is not None and is_published_heard(request, road):
        road = _stricter(road, published)
    if request.needs_tls and _rank(road) < _VERIFY:
        return replace(road, level=TlsLevel.VERIFY)
    return road


def tentative(demand: TlsDemand) -> TlsDemand:
    """The same, but that a proof is asked for first, to see whether the host has one."""
    if _rank(demand) >= _VERIFY:
        return demand
    return TlsDemand(TlsLevel.VERIFY, demand.is_implicit, otherwise=demand)


def raised(demand: TlsDemand, level: TlsLevel) -> TlsDemand:
    """The same, but at least of this level, whatever is tried after it."""
    if demand.otherwise is not None:
        demand = replace(demand, otherwise=raised(demand.otherwise, level))
    return demand if _rank(demand) >= _LEVELS.index(level) else replace(demand, level=level)


def _stricter(road: TlsDemand, published: TlsDemand) -> TlsDemand:
    if _rank(published) < _rank(road):
        return road
    return replace(published, is_implicit=road.is_implicit)


def _rank(demand: TlsDemand) -> int:
    return _LEVELS.index(demand.level)


def is_fit(tls: TlsFacts | None, request: MessageRequest) -> bool:
    """Whether a message may go over a connection with this TLS, to a host that is vouched for."""
    return not request.needs_tls or (tls is not None and tls.is_verified)


def may_share(opened_for: MessageRequest, request: MessageRequest) -> bool:
    """Whether a message may go over a connection that was opened for another to the same place.

    What it asks of the host must have been asked then.
    """
    return request is opened_for or _strictness(request) <= _strictness(opened_for)


def _strictness(request: MessageRequest) -> int:
    if request.needs_tls:
        return 2
    return 0 if request.waives_tls else 1


def is_vouched_for(
    exchanger: str,
    domain: str,
    published: TlsDemand | None = None,
    *,
    is_secure: bool = False,
) -> bool:
    """Whether a proof that a host is `exchanger` proves that it takes the mail of `domain`.

    Whoever forges an answer to the MX query has a certificate for a name of his own, so
    RFC 8689 §4.2.1 asks for an answer that is signed (`is_secure`), or for a policy that lists the
    exchanger (a `published` VERIFY). A name within the domain needs neither, as long as the
    domain gives no names to strangers.
    """
    if is_secure or exchanger == domain or exchanger.endswith(f".{domain}"):
        return True
    return published is not None and published.level is TlsLevel.VERIFY


def unproven(exchanger: str, domain: str) -> Outcome:
    """Why a message that needs TLS is not offered to an exchanger that nothing vouches for."""
    text = f"the message requires TLS, and nothing proves that {exchanger} is {domain}'s exchanger"
    return Outcome(Verdict.FAILED, Reply(550, text, 7, 30), Stage.LOOKUP, Scope.HOST)


def unprotected(outcome: Outcome) -> Outcome:
    """What it means that there was no TLS for a message that needs it (RFC 8689 §4.2.1).

    The host will not do, unless it said itself that this may pass.
    """
    if outcome.is_from_peer and outcome.reply.code < 500:
        return outcome
    text = f"the message requires TLS: {outcome.reply.text}"
    return replace(
        outcome, verdict=Verdict.FAILED, reply=Reply(550, text, 7, 10), is_from_peer=False
    )


def after_failed_handshake(demand: TlsDemand) -> TlsDemand | None:
    """What to ask of a second connection to the same host; None where there must be none.

    Mail that would go in clear to a host without TLS goes in clear to one whose TLS is broken
    (RFC 7435 §3). Where TLS is implicit nobody listens in clear.
    """
    if demand.otherwise is not None:
        return demand.otherwise
    if demand.level is TlsLevel.OPPORTUNISTIC and not demand.is_implicit:
        return TlsDemand(TlsLevel.NONE)
    return None
