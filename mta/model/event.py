"""What happened to a message, or at a login, for operators: one schema for every event."""

from enum import StrEnum

from mta.model.address import Address
from mta.model.domain import Host, TlsFacts
from mta.model.envelope import MessageId, Road
from mta.model.outcome import Reply, Stage
from mta.model.ruling import Cause
from mta.model.value import value


class Kind(StrEnum):
    """The things that can happen to a message, in the order of its life, and those before it."""

    LOGIN_FAILED = "login-failed"  # `user` only where he exists; `text` says why
    LOCKED = "locked"  # after many failures no login is looked at; `text` says whose
    REFUSED = "refused"  # at the door; `text` says why
    ACCEPTED = "accepted"  # on disk, ours to deliver
    UNSIGNED = "unsigned"  # accepted without a DKIM signature; `text` says why
    DELIVERED = "delivered"
    DISCARDED = "discarded"  # as a route says
    DEFERRED = "deferred"  # to be tried again at `next_at`
    HELD = "held"  # the same, though refused for good: for our sake, and an operator can mend it
    REROUTED = "rerouted"  # the direct road is shut: on to the smarthost; `text` says why
    ROAD_SHUT = "road-shut"  # the direct road to `site`, until `next_at`; `text` says why
    ROAD_OPENED = "road-opened"  # it can be had again
    TLS_LOST = "tls-lost"  # a domain had it, and mail waits for it until `next_at` at most
    TLS_BROKEN = "tls-broken"  # the handshake with `host` fails: mail goes in clear
    THROTTLED = "throttled"  # `text` says how much goes to `site`, until `next_at`
    FAILED = "failed"  # for good
    REPORTED = (
        "reported"  # the sender is told, by the message named in `report`; `text` has of what
    )
    DROPPED = "dropped"  # a failure that nobody is told of; `text` says why
    SETTLED = "settled"  # nothing is owed any more


@value
class Event:
    """One thing that happened; what does not apply is None. `at` is in Unix seconds.

    `sender` is "" for the null sender. `site` is who serves a destination, or its domain. `seconds`
    is the time since the message was accepted.
    """

    kind: Kind
    at: float
    id: MessageId | None = None
    sender: str | None = None
    recipient: Address | None = None
    recipients: int | None = None
    size: int | None = None
    client: str | None = None
    user: str | None = None
    road: Road | None = None
    route: str | None = None  # where it is not the default one
    site: str | None = None
    stage: Stage | None = None
    host: Host | None = None
    tls: TlsFacts | None = None
    reply: Reply | None = None
    cause: Cause | None = None  # of a refusal, and the id of the rule that tells it
    rule: str | None = None
    attempts: int | None = None
    next_at: float | None = None
    seconds: float | None = None
    report: MessageId | None = None
    text: str | None = None
    warnings: tuple[str, ...] | None = None  # the codes of what will surprise about a message
