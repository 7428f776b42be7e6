"""How an attempt's outcome moves a recipient on: the state machine of delivery."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from math import inf
from types import MappingProxyType
from typing import Protocol

from mta.model.envelope import Consignment, Destination, Envelope, Reason, Recipient, Road, State
from mta.model.outcome import Outcome, Verdict
from mta.model.request import Deadline, Notice
from mta.model.value import value

from mta.rules.delivery.deadline import final, is_relay_told, missed, over_at
from mta.rules.delivery.fallback import FALLBACK, FallbackPlan, detour_after
from mta.rules.delivery.retry import RetryPlan, next_attempt
from mta.rules.refusals.hold import held_until


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
    """A recipient after an attempt, and the reason where it changed its road.

    `is_held`: it was refused for our sake, and is kept all the same.
    """

    recipient: Recipient
    rerouted: Reason | None = None
    is_held: bool = False


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
    released_at: float = inf,
    by: Deadline | None = None,
    fallback: FallbackPlan = FALLBACK,
    hold_for: float = 0.0,
) -> Step:
    """Where a recipient stands after `outcome` on `road`.

    `released_at` and `by` are its message's release and deadline; `hold_for` seconds since the
    former it is kept where it is refused for our sake.
    """
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
        recipient.rerouted,
    )
    if is_delivered:
        return Step(tried)
    held = held_until(outcome, released_at=released_at, hold_for=hold_for, now=now, chance=chance)
    is_final = outcome.verdict is Verdict.FAILED and held is None
    next_at = (
        None
        if is_final
        else next_attempt(
            plan,
            attempts=tried.attempts,
            ends_at=ends_at,
            now=now,
            chance=chance,
            may_have_arrived=outcome.may_have_arrived,
        )
    )
    if has_another_road(tried, mode):
        detour = detour_after(outcome, fallback, released_at=released_at, by=by)
        if detour is not None and detour.at < max(now, next_at or now):
            return rerouted(tried, detour.reason, max(now, detour.at))
    if is_final:
        return Step(replace(tried, state=State.FAILED))
    if next_at is None:
        return Step(replace(tried, state=State.FAILED, last=final(outcome, by, now)))
    if held is not None:
        return Step(replace(tried, next_at=min(max(next_at, held), ends_at)), is_held=True)
    return Step(replace(tried, next_at=min(next_at, over_at(by))))


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
    released_at: float = inf,
    by: Deadline | None = None,
    fallback: FallbackPlan = FALLBACK,
    reason: Reason | None = None,
) -> Step:
    """A recipient whose destination, on `road`, is shut by `outcome`: put off without a try.

    Until then, or given up in time, or on its way to the smarthost: for `reason`, where that is
    known already.
    """
    put_off = replace(recipient, road=road, last=outcome, next_at=min(until, ends_at))
    if has_another_road(put_off, mode):
        if reason in fallback.reasons:
            return rerouted(put_off, reason, now)
        detour = detour_after(outcome, fallback, released_at=released_at, by=by)
        if detour is not None and detour.at < max(now, put_off.next_at):
            return rerouted(put_off, detour.reason, max(now, detour.at))
    if now >= ends_at:
        return Step(replace(put_off, state=State.FAILED, last=final(outcome, by, now)))
    return Step(put_off)


def has_another_road(recipient: Recipient, mode: Mode) -> bool:
    """Whether the second road is there for a recipient, whose message can only have gone by it."""
    return (
        mode is Mode.FALLBACK and recipient.road is Road.DIRECT and not recipient.may_have_arrived
    )


def rerouted(recipient: Recipient, reason: Reason, at: float) -> Step:
    """The step to the second road, which is taken at `at`, in Unix seconds."""
    moved = replace(recipient, road=Road.SMARTHOST, next_at=at, rerouted=reason)
    return Step(moved, reason)


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
    themselves, and those that see a sender of their own one by one.
    """
    groups: dict[tuple[Road, str, str, str, float, int], list[int]] = {}
    is_verp = envelope.request.is_verp
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
            alone = place if is_verp else -1
            key = (road, domain, route, recipient.bound_to, recipient.next_at, alone)
            groups.setdefault(key, []).append(place)
    for (road, domain, route, _, due_at, _), group in groups.items():
        yield Consignment(envelope, Destination(road, domain, route), tuple(group), due_at)
