"""What settings contradict each other, and what is legal but will surprise."""

import json
import shlex
import stat
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from typing import TypeVar

from mta.model.listener import LOOPBACK, Auth, Endpoint, Network, TlsStart, UnixSocket

from mta.rules.delivery.families import Ipv6
from mta.rules.delivery.progress import Mode

from mta.config import pacing, routechecks
from mta.config.doors import Listen
from mta.config.quantities import shown_duration, shown_mode, shown_size
from mta.config.refusals import objections_to
from mta.config.settings import Settings


def contradictions(settings: Settings) -> Iterator[tuple[str, str]]:
    """Every combination that cannot be, as the key at fault and a sentence about it."""
    yield from _about_listeners(settings)
    if (settings.tls.certificate is None) != (settings.tls.key is None):
        missing = "key" if settings.tls.key is None else "certificate"
        yield f"tls.{missing}", "expected certificate and key together, found one of them"
    yield from _about_limits(settings)
    yield from _about_delivery(settings)
    yield from routechecks.contradictions(settings)
    yield from objections_to(settings.refusals)
    named = [route.pacing for route in settings.routes if route.pacing is not None]
    yield from pacing.objections_to(settings.pacing, named)
    for domain, selector in _repeated((key.domain, key.selector) for key in settings.dkim):
        yield "dkim", f"expected each selector of a domain once, got {selector} of {domain} again"
    forwarding = settings.forwarding
    if forwarding and forwarding.arc and not (forwarding.users or forwarding.networks):
        yield "forwarding.users", "expected users or networks whose mail is sealed, found neither"
    for place, entry in enumerate(settings.dkim):
        begin, end = entry.signs_from, entry.signs_until
        if begin is not None and end is not None and begin >= end:
            yield f"dkim[{place}].until", "expected a moment after from, found one before"


ROOM_TO_SETTLE = 1 << 20  # octets: what was delivered must be written down


def warnings(settings: Settings) -> list[str]:
    """What an operator should hear about settings that stand."""
    return [f"{path}: {text}" for path, text in _surprises(settings)]


def _about_listeners(settings: Settings) -> Iterator[tuple[str, str]]:
    if not settings.listen:
        yield "listen", "expected at least one listener, got []"
    fixed = (
        listen.address
        for listen in settings.listen
        if not isinstance(listen.address, Endpoint) or listen.address.port
    )
    for address in _repeated(fixed):
        yield "listen", f"expected each address once, got {address} again"
    for place, listen in enumerate(settings.listen):
        if not listen.networks:
            yield f"listen[{place}].networks", "expected at least one network, got []"
        if (
            listen.auth is Auth.REQUIRED
            and listen.tls is TlsStart.NONE
            and not listen.plaintext_auth
        ):
            yield (
                f"listen[{place}].tls",
                "expected starttls or implicit for auth: required, got none: the passwords would "
                "cross the network in clear; plaintext_auth: true allows it",
            )
        for key, text in _about_place(listen):
            yield f"listen[{place}].{key}", text
        if is_open(listen) and listen.auth is not Auth.REQUIRED and not settings.senders:
            yield (
                f"listen[{place}].networks",
                "this is an open relay: anybody may send anything to anybody; narrow the networks, "
                "or set auth: required, or name your own domains in senders",
            )


def _about_place(listen: Listen) -> Iterator[tuple[str, str]]:
    """What of a listener's keys does not go with its address."""
    is_unix = isinstance(listen.address, UnixSocket)
    if is_unix and listen.networks != LOOPBACK:
        yield "networks", "a Unix socket has none: its mode and group say who may connect"
    if is_unix and listen.proxy:
        yield "proxy", "a Unix socket has no networks: let the proxy connect by TCP"
    if not is_unix and listen.mode != Listen().mode:
        yield "mode", f"only a Unix socket has one, got {shown_mode(listen.mode)}"
    if not is_unix and listen.group is not None:
        yield "group", f"only a Unix socket has one, got {json.dumps(listen.group)}"
    if _takes_in_much(listen.proxy):
        yield (
            "proxy",
            "expected the networks of your proxies, got a large part of the Internet: anybody "
            "there could claim any address",
        )


def is_open(listen: Listen) -> bool:
    """Whether its networks take in a large part of the Internet."""
    return _takes_in_much(listen.networks)


def _takes_in_much(networks: Iterable[Network]) -> bool:
    return any(network.prefixlen < (8 if network.version == 4 else 7) for network in networks)


def _about_limits(settings: Settings) -> Iterator[tuple[str, str]]:
    limits = settings.limits
    for name, number, floor, least in (
        ("disk_high", limits.disk_high, "disk_low", limits.disk_low),
        ("buffer", limits.buffer, "message_size", limits.message_size),
    ):
        if number < least:
            yield (
                f"limits.{name}",
                f"expected at least limits.{floor} ({shown_size(least)}), got {shown_size(number)}",
            )
    if limits.inodes_high < limits.inodes_low:
        yield (
            "limits.inodes_high",
            f"expected at least limits.inodes_low ({limits.inodes_low}), got {limits.inodes_high}",
        )


def _about_delivery(settings: Settings) -> Iterator[tuple[str, str]]:
    delivery = settings.delivery
    fallback = delivery.fallback
    if fallback.shut_at_most < fallback.shut_for:
        yield (
            "delivery.fallback.shut_at_most",
            f"expected at least shut_for ({shown_duration(fallback.shut_for)}), "
            f"got {shown_duration(fallback.shut_at_most)}",
        )
    if not delivery.retry:
        yield "delivery.retry", "expected at least one duration, got []"
    for address in _repeated(source.address for source in delivery.sources):
        yield "delivery.sources", f"expected each address once, got {address} again"


def _surprises(settings: Settings) -> Iterator[tuple[str, str]]:
    if "." not in settings.hostname:
        yield (
            "hostname",
            f"{settings.hostname} has no dot; other servers refuse such a name, set the one that "
            "your IP address resolves to",
        )
    for place, listen in enumerate(settings.listen):
        here = f"listen[{place}]"
        yield from _surprises_of_logins(here, listen, settings)
        if is_open(listen) and listen.auth is not Auth.REQUIRED:
            yield f"{here}.networks", "anybody may send here in the name of your senders' domains"
    if settings.limits.disk_low < ROOM_TO_SETTLE:
        yield "limits.disk_low", "a disk that is full to its end keeps mail from being settled, too"
    if settings.admin is not None and settings.admin.plaintext_tokens:
        yield (
            "admin.plaintext_tokens",
            "whoever is on the way can read the tokens, and send with them",
        )
    if settings.maildrop and all(listen.auth is Auth.REQUIRED for listen in settings.listen):
        yield (
            "maildrop",
            "every user of this host may send by it without logging in; null takes it away",
        )
    yield from _surprises_of_delivery(settings)
    yield from _surprises_of_files(settings)


def _surprises_of_logins(
    here: str, listen: Listen, settings: Settings
) -> Iterator[tuple[str, str]]:
    if listen.auth is Auth.NONE:
        if listen.plaintext_auth:
            yield f"{here}.plaintext_auth", "not used while auth is none"
        return
    if settings.users is None:
        yield f"{here}.auth", "nobody can log in: there is no file of users; mta user add makes one"
    is_private = listen.tls is TlsStart.IMPLICIT or isinstance(listen.address, UnixSocket)
    if listen.plaintext_auth and not is_private:
        yield f"{here}.plaintext_auth", "passwords may cross the network in clear"
    elif listen.tls is TlsStart.NONE and not listen.plaintext_auth:
        yield (
            f"{here}.auth",
            "nobody can log in here without TLS; set tls, or plaintext_auth: true",
        )


def _surprises_of_delivery(settings: Settings) -> Iterator[tuple[str, str]]:
    delivery = settings.delivery
    if delivery.mode is Mode.FALLBACK and not delivery.fallback.reasons:
        yield "delivery.fallback.reasons", "without any the smarthost is never used"
    if delivery.give_up_after <= min(delivery.retry):
        yield (
            "delivery.give_up_after",
            "shorter than every wait in retry: there is one attempt only",
        )
    if delivery.timeouts.final_dot < 600:
        yield (
            "delivery.timeouts.final_dot",
            "under 10m a slow server's reply is missed and the message sent twice (RFC 1047)",
        )
    if delivery.ipv6 is Ipv6.NEVER:
        for place, entry in enumerate(delivery.sources):
            if entry.source().version == 6:
                yield f"delivery.sources[{place}]", "not used while delivery.ipv6 is never"
    if delivery.sources and delivery.mode is Mode.SMARTHOST and not settings.routes:
        yield "delivery.sources", "not used while mode is smarthost"
    yield from routechecks.surprises(settings)


def _surprises_of_files(settings: Settings) -> Iterator[tuple[str, str]]:
    secrets = {f"dkim[{place}].key": entry.key for place, entry in enumerate(settings.dkim)}
    if settings.tls.key:
        secrets["tls.key"] = settings.tls.key
    for here, smarthost in routechecks.every_smarthost(settings):
        if smarthost.password_file:
            secrets[f"{here}.password_file"] = smarthost.password_file
    if settings.users:
        secrets["users"] = settings.users
    for here, path in secrets.items():
        if path.is_file() and path.stat().st_mode & stat.S_IROTH:
            yield here, f"everybody on this machine can read it; chmod o= {shlex.quote(str(path))}"


T = TypeVar("T", bound=Hashable)


def _repeated(values: Iterable[T]) -> list[T]:
    return [value for value, times in Counter(values).items() if times > 1]
