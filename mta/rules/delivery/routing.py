"""Where a domain's mail goes: from DNS answers to hosts in order, to addresses in order.

Every question has two kinds of answer: a way to go on, or the Outcome that says why there is
none. What is not known now is never read as "there is none" (RFC 5321 §5.1).
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from mta.model.address import MAX_DOMAIN, literal_ip
from mta.model.domain import Answer, Finding, Mx
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict, undeliverable, unresolved

from mta.rules.delivery.families import BOTH, Families

MAX_HOSTS_CONSIDERED = 100
MAX_ADDRESSES_CONSIDERED = 10  # of one host

# Underscores are no part of a host's name, but some exchangers have them and do answer.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1


@dataclass(frozen=True, slots=True)
class Route:
    """The hosts to try, in this order: names, or the one address literal, as in "[192.0.2.1]".

    `is_implicit`: there is no MX record, and the domain stands for itself (RFC 5321 §5.1).
    `is_secure`: the answer that says all this was signed.
    """

    hosts: tuple[str, ...]
    is_implicit: bool = False
    is_secure: bool = False


def literal_route(domain: str) -> Route | None:
    """The route to an address literal, which needs no DNS; None where `domain` is a name."""
    return Route((domain,)) if literal_ip(domain) else None


def literal_addresses(host: str) -> Answer[str] | None:
    """The address that `host` spells, as if it had been looked up; None for a name.

    Brackets or not: domains have them (RFC 5321 §4.1.3), a smarthost in the settings has none.
    """
    try:
        address = ip_address(literal_ip(host) or host)
    except ValueError:
        return None
    return Answer(Finding.RECORDS, (str(address),))


def route_for(
    domain: str, answer: Answer[Mx], *, own_names: Collection[str], chance: Callable[[], float]
) -> Route | Outcome:
    """The hosts that take mail for `domain`, by the answer to its MX query (RFC 5321 §5.1).

    `domain` and `own_names` are in lower case without a final dot; `own_names` are those by
    which this host itself may stand in a list of exchangers. Hosts of equal preference come in
    an order left to `chance` (0.0 <= x < 1.0).
    """
    if answer.finding is Finding.NO_NAME:
        return undeliverable(f"the domain {domain} does not exist", 1, 2)
    if answer.finding is Finding.UNKNOWN:
        reason = answer.text or "no answer"
        return unresolved(f"cannot look up the mail exchangers of {domain} now: {reason}")
    if answer.finding is Finding.NO_DATA:
        if domain in own_names:
            return _loop(domain)
        return Route((domain,), is_implicit=True, is_secure=answer.is_secure)
    if {record.host for record in answer.records} == {""}:
        return undeliverable(f"{domain} accepts no mail (null MX)", 1, 10, code=556)  # RFC 7505 §4
    return _explicit_route(domain, answer, own_names, chance)


def _explicit_route(
    domain: str, answer: Answer[Mx], own_names: Collection[str], chance: Callable[[], float]
) -> Route | Outcome:
    # A null MX among others is a mistake of theirs (RFC 7505 §3), and no host's name.
    usable = [record for record in answer.records if _is_host_name(record.host)]
    if not usable:
        return undeliverable(f"{domain} has no usable mail exchanger", 4, 4)
    # Whoever is no nearer to the domain than we are would send the mail back (RFC 5321 §5.1).
    own = min((record.preference for record in usable if record.host in own_names), default=None)
    nearer = [record for record in usable if own is None or record.preference < own]
    if not nearer:
        return _loop(domain)
    ordered = sorted(nearer, key=lambda record: (record.preference, chance()))
    distinct = dict.fromkeys(record.host for record in ordered)
    return Route(tuple(distinct)[:MAX_HOSTS_CONSIDERED], is_secure=answer.is_secure)


def _is_host_name(text: str) -> bool:
    """Whether it can have addresses; an IP address as an exchanger's name cannot."""
    last_label = text.rpartition(".")[2]
    return (
        len(text) <= MAX_DOMAIN and _HOST.fullmatch(text) is not None and not last_label.isdigit()
    )


def _loop(domain: str) -> Outcome:
    return undeliverable(f"mail for {domain} loops back to us", 4, 6)


def usable_addresses(
    host: str,
    answer: Answer[str],
    *,
    private_allowed: bool,
    is_implicit: bool = False,
    families: Families = BOTH,
    limit: int = MAX_ADDRESSES_CONSIDERED,
) -> tuple[str, ...] | Outcome:
    """The addresses of one host to try, at most `limit`, in this order; or why there are none.

    What is not on the public Internet is left out unless `private_allowed`, and so is what is of
    an IP version that may not be used. Mail for a host with nothing else waits: we may mend that.

    The outcome has scope HOST: the next host may do better. `is_implicit` is the route's: a
    domain with neither MX nor address "is incapable of accepting mail", 5.1.2; an exchanger
    without an address leaves mail "unable to route", 5.4.4 (RFC 3463 §3.2, §3.5).
    """
    if answer.finding is Finding.UNKNOWN:
        reason = answer.text or "no answer"
        return _host_deferred(f"cannot look up the addresses of {host} now: {reason}")
    if answer.finding is not Finding.RECORDS:
        if is_implicit:
            return _host_failed(f"{host} has neither mail exchangers nor addresses", 1, 2)
        return _host_failed(f"the mail exchanger {host} has no address", 4, 4)
    found = [ip_address(text) for text in answer.records]
    usable = [ip for ip in found if private_allowed or objection_to_address(ip) is None]
    if not usable:
        return _refused(host, found[0])
    chosen = families.in_order(usable)
    if not chosen:
        kind = f"IPv{usable[0].version}"
        return _host_deferred(f"{host} has {kind} addresses alone, and we send without {kind}", 4)
    return tuple(map(str, chosen[:limit]))


def objection_to_address(ip: IPv4Address | IPv6Address) -> str | None:
    """Why no mail exchanger of the public Internet can have this address, in a word; or None.

    An IPv6 address that carries an IPv4 address leads there, and is judged by it.
    """
    for objection, holds in _OBJECTIONS.items():
        if holds(ip):
            return objection
    inner = _carried(ip) if isinstance(ip, IPv6Address) else None
    return objection_to_address(inner) if inner else None


_OBJECTIONS: dict[str, Callable[[IPv4Address | IPv6Address], bool]] = {
    "IPv4-mapped": lambda ip: ip.version == 6 and ip.ipv4_mapped is not None,
    "unspecified": lambda ip: ip.is_unspecified,
    "loopback": lambda ip: ip.is_loopback,
    "link-local": lambda ip: ip.is_link_local,
    "multicast": lambda ip: ip.is_multicast,
    "reserved": lambda ip: ip.is_reserved and ip not in _NAT64,
    "private": lambda ip: not ip.is_global and ip not in _NAT64,
}


def _carried(ip: IPv6Address) -> IPv4Address | None:
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.sixtofour


def _refused(host: str, ip: IPv4Address | IPv6Address) -> Outcome:
    kind = objection_to_address(ip)
    return _host_failed(
        f"{host} has the {kind} address {ip}, and delivery.private_addresses is off", 4, 4
    )


def _host_failed(text: str, subject: int, detail: int) -> Outcome:
    reply = Reply(550, text, subject, detail)
    return Outcome(Verdict.FAILED, reply, Stage.LOOKUP, Scope.HOST)


def _host_deferred(text: str, detail: int = 3) -> Outcome:
    return Outcome(Verdict.DEFERRED, Reply(451, text, 4, detail), Stage.LOOKUP, Scope.HOST)


def conclusion(outcomes: Sequence[Outcome]) -> Outcome:
    """What an attempt means whose every host ended with an outcome of scope HOST.

    While one host may still take the mail, it waits; it fails when none can. The one outcome
    chosen to speak for all is the most telling: a peer's words before our own, then the latest.
    That a message may have arrived is never left out. Raises ValueError for no outcomes at all.
    """
    waiting = [outcome for outcome in outcomes if outcome.verdict is Verdict.DEFERRED]
    _, spokesman = max(
        enumerate(waiting or outcomes),
        key=lambda placed: (placed[1].may_have_arrived, placed[1].is_from_peer, placed[0]),
    )
    return replace(spokesman, scope=Scope.DESTINATION)
