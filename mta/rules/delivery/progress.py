"""How an attempt's outcome moves a recipient on: the state machine of delivery."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from mta.model.envelope import Consignment, Destination, Envelope, Recipient, Road, State
from mta.model.outcome import Outcome, Verdict
from mta.model.request import Deadline, Notice
from mta.model.value import value

from mta.rules.delivery.deadline import final, is_relay_told, missed
from mta.rules.delivery.fallback import Reason, reason_to_fall_back
from mta.rules.delivery.retry import RetryPlan, next_attempt


class Mode(StrEnum):
    """Which roads mail may take."""

    DIRECT = "direct"
    SMARTHOST = "smarthost"
    FALLBACK = "fallback"  # direct first, then the smarthost


class HasMode(Protocol):
    """The terms of a route, as far as they say which roads it has."""

    @property
    def mode(self) -> Mode:
        """Which roads its mail may take."""


NO_ROUTES: Mapping[str, HasMode] = MappingProxyType({})


@value
class Step:
    """A recipient after an attempt, and the reason where it changed its road."""

    recipient: Recipient
    rerouted: Reason | None = None


def after_attempt(
    recipient: Recipient,
    outcome: Outcome,
    *,
    road: Road,
    mode: Mode,
    plan: RetryPlan,
    ends_at: float,
    now: float,
    chance: float,
    by: Deadline | None = None,
) -> Step:
    """Where a recipient stands after `outcome` on `road`; `by` is the message's deadline."""
    is_delivered = outcome.verdict is Verdict.DELIVERED
    tried = Recipient(
        recipient.address,
        _state_of_delivered(recipient, outcome, by) if is_delivered else State.WAITING,
        recipient.attempts + 1,
        recipient.next_at,
        road,
        recipient.may_have_arrived or outcome.may_have_arrived,
        outcome,
        recipient.request,
        now,
        recipient.is_delay_told,
        recipient.route,
        recipient.bound_to or _binding(outcome, road),
    )
    if is_delivered:
        return Step(tried)
    rerouted = _rerouted(tried, outcome, mode, now)
    if rerouted is not None:
        return rerouted
    if outcome.verdict is Verdict.FAILED:
        return Step(replace(tried, state=State.FAILED))
    next_at = next_attempt(
        plan,
        attempts=tried.attempts,
        ends_at=ends_at,
        now=now,
        chance=chance,
        may_have_arrived=outcome.may_have_arrived,
    )
    if next_at is None:
        return Step(replace(tried, state=State.FAILED, last=final(outcome, by, now)))
    return Step(replace(tried, next_at=next_at))


def _binding(outcome: Outcome, road: Road) -> str:
    """The relay that may have the message, so that none beside it is ever tried."""
    if road is Road.DIRECT or not outcome.may_have_arrived or outcome.host is None:
        return ""
    return outcome.host.label


def expired(recipient: Recipient) -> Step:
    """A recipient whose message came due when its deadline had passed."""
    return Step(replace(recipient, state=State.FAILED, last=missed(recipient.last)))


def _state_of_delivered(recipient: Recipient, outcome: Outcome, by: Deadline | None) -> State:
    """Whether the sender has yet to hear of it from us (RFC 3461 §5.2.2)."""
    if is_relay_told(by, recipient.request, outcome):
        return State.RELAYED
    if outcome.peer_reports or not recipient.request.wants(Notice.SUCCESS):
        return State.DELIVERED
    return State.RELAYED


def suspended(
    recipient: Recipient,
    outcome: Outcome,
    *,
    until: float,
    road: Road,
    ends_at: float,
    now: float,
    mode: Mode = Mode.DIRECT,
    by: Deadline | None = None,
) -> Step:
    """A recipient whose destination, on `road`, is shut by `outcome`: put off without a try.

    Until then, or given up in time, or on its way to the smarthost.
    """
    put_off = replace(recipient, road=road, last=outcome, next_at=min(until, ends_at))
    rerouted = _rerouted(put_off, outcome, mode, now)
    if rerouted is not None:
        return rerouted
    if now >= ends_at:
        return Step(replace(put_off, state=State.FAILED, last=final(outcome, by, now)))
    return Step(put_off)


def _rerouted(recipient: Recipient, outcome: Outcome, mode: Mode, now: float) -> Step | None:
    """The step to the second road, where it is open to a recipient on the first."""
    if mode is not Mode.FALLBACK or recipient.road is not Road.DIRECT or recipient.may_have_arrived:
        return None
    reason = reason_to_fall_back(outcome)
    if reason is None:
        return None
    return Step(replace(recipient, road=Road.SMARTHOST, next_at=now), reason)


def road_of(recipient: Recipient, mode: Mode) -> Road:
    """The road that a recipient takes next; settings may have changed since it was stored."""
    return recipient.road if mode is Mode.FALLBACK else first_road(mode)


def first_road(mode: Mode) -> Road:
    """The road that mail begins on."""
    return Road.SMARTHOST if mode is Mode.SMARTHOST else Road.DIRECT


def consignments(
    envelope: Envelope,
    mode: Mode,
    places: Collection[int] | None = None,
    *,
    routes: Mapping[str, HasMode] = NO_ROUTES,
) -> Iterator[Consignment]:
    """What waits of a message, split by destination and by when it is due; of `places` alone.

    `mode` is the default route's, and `routes` are those of today by their names: what was to take
    one that is gone begins anew on the default one. Recipients that are bound to a relay go by
    themselves.
    """
    groups: dict[tuple[Road, str, str, str, float], list[int]] = {}
    for place, recipient in enumerate(envelope.recipients):
        if recipient.state is State.WAITING and (places is None or place in places):
            route, road = recipient.route, recipient.road
            if not route:
                road = road_of(recipient, mode)
            elif route in routes:
                road = road_of(recipient, routes[route].mode)
            else:
                route, road = "", first_road(mode)
            domain = recipient.address.domain if road is Road.DIRECT else ""
            key = (road, domain, route, recipient.bound_to, recipient.next_at)
            groups.setdefault(key, []).append(place)
    for (road, domain, route, _, due_at), group in groups.items():
        yield Consignment(envelope, Destination(road, domain, route), tuple(group), due_at)
