"""What the settings of smarthosts and routes contradict, and what of them will surprise."""

from collections.abc import Iterator

from mta.model.domain import TlsLevel
from mta.model.listener import TlsStart

from mta.rules.delivery.progress import Mode

from mta.config.routes import Route, Smarthost
from mta.config.settings import Settings
from mta.config.targets import Kind, Target

_LMTP_NEVER_ON = 25  # RFC 2033 §5
_LEVELS = tuple(TlsLevel)  # from nothing to everything


def contradictions(settings: Settings) -> Iterator[tuple[str, str]]:
    """Every combination that cannot be, as the key at fault and a sentence about it."""
    for name in _repeated([one.name for one in settings.smarthosts]):
        yield "smarthosts", f"expected each name once, got {name} again"
    for here, smarthost in every_smarthost(settings):
        for key, text in _about_smarthost(smarthost):
            yield f"{here}.{key}", text
    yield from _about_second_road(settings)
    for name in _repeated([route.name for route in settings.routes]):
        yield "routes", f"expected each name once, got {name} again"
    for place, route in enumerate(settings.routes):
        for key, text in _about_route(route, settings):
            yield f"routes[{place}].{key}", text


def surprises(settings: Settings) -> Iterator[tuple[str, str]]:
    """What is legal and will surprise an operator."""
    for here, smarthost in every_smarthost(settings):
        is_unproven = not smarthost.verify and not smarthost.fingerprints
        if smarthost.tls is not TlsStart.NONE and is_unproven:
            yield f"{here}.verify", "anybody on the way may read the mail and the password"
    targets = {target for route in settings.routes for target in route.via}
    is_unused = settings.delivery.mode is Mode.DIRECT and Target(Kind.SMARTHOST) not in targets
    if is_unused and settings.delivery.smarthost is not None:
        text = "not used while mode is direct; fallback or smarthost use it, or a route does"
        yield "delivery.smarthost", text
    for place, route in enumerate(settings.routes[:-1]):
        if route.takes_all:
            yield (
                f"routes[{place}]",
                f"{route.name} takes all mail: no route after it is ever taken",
            )
            return


def _repeated(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def every_smarthost(settings: Settings) -> Iterator[tuple[str, Smarthost]]:
    """All that are described, and under which key."""
    if isinstance(settings.delivery.smarthost, Smarthost):
        yield "delivery.smarthost", settings.delivery.smarthost
    for place, smarthost in enumerate(settings.smarthosts):
        yield f"smarthosts[{place}]", smarthost


def _about_smarthost(smarthost: Smarthost) -> Iterator[tuple[str, str]]:
    has_password = smarthost.password is not None or smarthost.password_file is not None
    if smarthost.password is not None and smarthost.password_file is not None:
        yield "password_file", "expected password or password_file, found both"
    if smarthost.username is not None and not has_password:
        yield "password", "expected a password (or password_file) for username, found none"
    if smarthost.username is None and has_password:
        yield "username", "expected a username for the password, found none"
    is_clear = smarthost.tls is TlsStart.NONE
    if is_clear and smarthost.fingerprints:
        yield "fingerprints", "expected none with tls: none, which shows no certificate"
    if is_clear and smarthost.username is not None and not smarthost.plaintext_login:
        yield (
            "tls",
            "expected starttls or implicit, got none: the password would cross the network "
            "in clear; plaintext_login: true allows it",
        )


def _about_second_road(settings: Settings) -> Iterator[tuple[str, str]]:
    given, mode = settings.delivery.smarthost, settings.delivery.mode
    if given is None and mode is not Mode.DIRECT:
        yield "delivery.smarthost", f"expected a smarthost for mode: {mode}, found none"
    if isinstance(given, tuple):
        for name in given:
            if objection := _objection_to_name(name, settings):
                yield "delivery.smarthost", objection


def _objection_to_name(name: str, settings: Settings) -> str:
    names = [one.name for one in settings.smarthosts]
    if name in names:
        return ""
    known = ", ".join(dict.fromkeys(names)) or "there is none"
    return f"expected a name of smarthosts ({known}), got {name}"


def _about_route(route: Route, settings: Settings) -> Iterator[tuple[str, str]]:
    kinds = [target.kind for target in route.via]
    if Kind.DISCARD in kinds and len(kinds) > 1:
        yield "via", "expected discard alone: nothing comes before or after it"
    if Kind.MX in kinds[1:]:
        yield "via", "expected mx first: what follows is where mail goes when that road is shut"
    if route.retry == ():
        yield "retry", "expected at least one duration, got []"
    for number, target in enumerate(route.via):
        if objection := _objection_to_target(target, settings):
            yield f"via[{number}]", objection
    if route.tls is not None:
        yield from _about_level(route, route.tls, settings)
    if route.fingerprints:
        yield from _about_fingerprints(route)


def _objection_to_target(target: Target, settings: Settings) -> str:
    if target.kind is Kind.LMTP and target.port == _LMTP_NEVER_ON:
        return "expected another port than 25, where SMTP is spoken (RFC 2033); LMTP's is often 24"
    if target.kind is not Kind.SMARTHOST:
        return ""
    if target.place:
        return _objection_to_name(target.place, settings)
    return "" if settings.delivery.smarthost else "expected delivery.smarthost for it, found none"


def _about_fingerprints(route: Route) -> Iterator[tuple[str, str]]:
    if route.tls is not None:
        yield "fingerprints", f"expected fingerprints or tls, found both (tls: {route.tls})"
    if not any(target.is_tcp or target.kind is Kind.MX for target in route.via):
        text = f"expected none here: {', '.join(map(str, route.via))} speak no TLS of their own"
        yield "fingerprints", text


def _about_level(route: Route, level: TlsLevel, settings: Settings) -> Iterator[tuple[str, str]]:
    kinds = {target.kind for target in route.via}
    if not any(target.is_tcp or target.kind is Kind.MX for target in route.via):
        yield (
            "tls",
            f"expected none here: {', '.join(map(str, route.via))} speak no TLS of their own",
        )
    floor = settings.delivery.tls
    if Kind.MX in kinds and _LEVELS.index(level) < _LEVELS.index(floor):
        yield "tls", f"expected no less than delivery.tls ({floor}), got {level}"
