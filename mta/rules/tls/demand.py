"""What the connection to a host must prove, and what may be tried when it cannot."""

from dataclasses import replace

from mta.model.domain import TlsDemand, TlsFacts, TlsLevel
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict
from mta.model.request import MessageRequest

_LEVELS = tuple(TlsLevel)  # from nothing to everything


def demand_for(floor: TlsLevel, *, is_implicit: bool = False) -> TlsDemand:
    """What to ask of a connection, where the settings ask for `floor`.

    `is_implicit`: the road's port speaks TLS from the first byte, as a smarthost's may.
    """
    return TlsDemand(floor, is_implicit)


def demand_of(
    request: MessageRequest, road: TlsDemand, published: TlsLevel = TlsLevel.OPPORTUNISTIC
) -> TlsDemand:
    """What one message asks of a connection, on a road where the settings ask for `road`.

    `published` is what the recipients' domain asks of all who send there. A sender who waives it
    waives nothing of the settings, which are ours (RFC 8689 §3).
    """
    if request.needs_tls:
        return replace(road, level=TlsLevel.VERIFY)
    if request.waives_tls or _LEVELS.index(published) <= _LEVELS.index(road.level):
        return road
    return replace(road, level=published)


def is_fit(tls: TlsFacts | None, request: MessageRequest) -> bool:
    """Whether a message may go over a connection with this TLS, opened for whatever message."""
    return not request.needs_tls or (tls is not None and tls.is_verified)


def is_vouched_for(exchanger: str, domain: str) -> bool:
    """Whether a certificate for `exchanger` proves that it takes the mail of `domain`.

    Whoever forges an answer to the MX query has a certificate for a name of his own, so
    RFC 8689 §4.2.1 asks for DNSSEC or MTA-STS, which are not looked at yet. A name within
    the domain needs neither, as long as the domain gives no names to strangers.
    """
    return exchanger == domain or exchanger.endswith(f".{domain}")


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
    if demand.level is TlsLevel.OPPORTUNISTIC and not demand.is_implicit:
        return TlsDemand(TlsLevel.NONE)
    return None
