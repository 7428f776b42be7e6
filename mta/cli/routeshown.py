"""What `mta route` prints: the decision, and what was seen, for people and for programs."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mta.model.address import Address
from mta.model.domain import Answer, Finding, Mx, TlsDemand, TlsFacts
from mta.model.envelope import Road
from mta.model.text import printable

from mta.rules.pacing.limits import SiteLimits

from mta.flow.delivery.courier import Way
from mta.flow.delivery.scout import Sight
from mta.flow.delivery.settlement import Terms

from mta.config.quantities import shown_duration


@dataclass(frozen=True, slots=True)
class Decision:
    """Which route mail takes: its name ("" for the default), why, and why not those before it."""

    name: str
    why: str
    passed_over: Mapping[str, str]
    terms: Terms
    ways: Mapping[Road, Sequence[Way]]
    limits: Sequence[tuple[str, SiteLimits]]  # of each road: its site, "" for the domain's own


@dataclass(slots=True)
class Look:
    """What was seen with --live: the answers of the DNS, and each road's stops."""

    answers: list[tuple[str, str, Answer[object]]] = field(default_factory=list)
    stops: dict[Road, list[Sight]] = field(default_factory=dict)

    @property
    def has_open_road(self) -> bool:
        """Whether mail could go now, by one road or another."""
        return any(one.outcome is None for seen in self.stops.values() for one in seen)


# For people


def for_people(address: Address, decision: Decision, look: Look | None) -> Iterator[str]:
    which = f"the route {decision.name}" if decision.name else "the default route"
    yield printable(f"{address} takes {which}: {decision.why}")
    for name, why in decision.passed_over.items():
        yield printable(f"  not {name}: {why}")
    yield ""
    yield from _table(
        ("road", "to", "TLS"),
        [
            (str(road), _end(way, address), str(way.demand.level))
            for road, ways in decision.ways.items()
            for way in ways
        ],
    )
    plan = decision.terms.plan
    waits = ", ".join(str(shown_duration(one)) for one in plan.delays)
    yield f"\ntried again after {waits}; given up after {shown_duration(plan.give_up_after)}"
    for road, (site, limits) in zip(decision.ways, decision.limits, strict=True):
        yield printable(f"{road}: {_limits(limits)} ({site or 'unless its site has others'})")
    if look is not None:
        yield from _seen(look)


def _limits(limits: SiteLimits) -> str:
    words = f"up to {limits.connections} connections at once, {limits.messages} messages over each"
    return words if limits.per_hour is None else f"{words}, {limits.per_hour:g} messages an hour"


def _end(way: Way, address: Address) -> str:
    if way.relay is None:
        return f"mail exchangers of {address.domain}"
    return way.label or ""


def _seen(look: Look) -> Iterator[str]:
    yield ""
    yield from _table(
        ("asked", "for", "answer"),
        [(kind, printable(name), printable(_answer(one))) for kind, name, one in look.answers],
    )
    for road, seen in look.stops.items():
        for sight in seen:
            yield f"\n{road}: {sight.host or 'no host'}"
            yield from (f"  {printable(line)}" for line in _sight(sight))


def _sight(sight: Sight) -> Iterator[str]:
    if sight.demand is not None:
        yield f"asked for: {_demand(sight.demand)}"
    if sight.outcome is not None:
        yield f"{sight.outcome.verdict} at {sight.outcome.stage}: {sight.outcome.reply}"
    elif sight.demand is None:
        yield "on this machine: nobody is asked"
    else:
        yield f"found: {_facts(sight.tls)}"


def _demand(demand: TlsDemand) -> str:
    words = [f"TLS {demand.level}"]
    if demand.names:
        words.append(f"for {' or '.join(demand.names)}")
    if demand.tlsa:
        words.append(f"by {len(demand.tlsa)} TLSA records")
    return ", ".join(words)


def _facts(tls: TlsFacts | None) -> str:
    if tls is None:
        return "in clear"
    return f"{tls.version}, {tls.cipher}, {tls.proof or 'nothing proven'}"


def _answer(answer: Answer[object]) -> str:
    if answer.finding is not Finding.RECORDS:
        return answer.text or str(answer.finding)
    signed = " (signed)" if answer.is_secure else ""
    return ", ".join(_record(record) for record in answer.records[:10]) + signed


def _record(record: object) -> str:
    return f"{record.preference} {record.host or '.'}" if isinstance(record, Mx) else str(record)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head) - 1)]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        yield "  ".join([*cells, line[-1]]).rstrip()


# For programs


def for_programs(address: Address, decision: Decision, look: Look | None) -> Iterator[str]:
    plan = decision.terms.plan
    shown: dict[str, object] = {
        "address": str(address),
        "route": decision.name or None,
        "why": decision.why,
        "passed_over": [{"route": name, "why": why} for name, why in decision.passed_over.items()],
        "roads": [
            {
                "road": str(road),
                "to": None if way.relay is None else way.label,
                "tls": str(way.demand.level),
            }
            for road, ways in decision.ways.items()
            for way in ways
        ],
        "limits": [
            {
                "road": str(road),
                "site": site or None,
                "connections": limits.connections,
                "messages_per_connection": limits.messages,
                "messages_per_hour": limits.per_hour,
            }
            for road, (site, limits) in zip(decision.ways, decision.limits, strict=True)
        ],
        "retry": [shown_duration(one) for one in plan.delays],
        "give_up_after": shown_duration(plan.give_up_after),
    }
    if look is not None:
        shown["lookups"] = [
            {"type": kind, "name": name, "finding": str(one.finding), "answer": _answer(one)}
            for kind, name, one in look.answers
        ]
        shown["hosts"] = [
            {"road": str(road), **_plain(sight)}
            for road, seen in look.stops.items()
            for sight in seen
        ]
    yield json.dumps(shown, indent=2)


def _plain(sight: Sight) -> dict[str, object]:
    host, tls, outcome = sight.host, sight.tls, sight.outcome
    return {
        "host": host and host.name,
        "address": (host and host.address) or None,
        "port": host and host.port,
        "demand": sight.demand and str(sight.demand.level),
        "tls": tls and {"version": tls.version, "cipher": tls.cipher, "proof": tls.proof or None},
        "stage": outcome and str(outcome.stage),
        "reply": outcome and str(outcome.reply),
    }
