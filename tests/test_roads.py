"""Settings turned into roads: what each route leads to, over what TLS, and how long."""

from pathlib import Path
from typing import Any

import pytest

from mta.model.domain import Answer, Finding, TlsLevel
from mta.model.envelope import Road

from mta.rules.delivery.progress import Mode

from mta.flow.delivery.courier import Way
from mta.flow.delivery.discard import Discard

from mta.edge.maildir import MaildirConnector
from mta.edge.smtpclient import SmtpConnector

from mta.config import Settings
from mta.wiring.fittings import terms_for
from mta.wiring.roads import Ways, rules_for, ways_for

NAMED = {
    "smarthosts": [
        {"name": "first", "host": "smtp.first.test", "tls": "implicit", "port": 465},
        {"name": "second", "host": "smtp.second.test", "verify": False},
    ]
}


class NoNames:
    async def pointers(self, address: str) -> Answer[str]:
        return Answer(Finding.NO_NAME)

    async def addresses(self, name: str) -> Answer[str]:
        return Answer(Finding.NO_NAME)


def settings_of(**keys: Any) -> Settings:
    return Settings.model_validate(NAMED | keys)


def ways_of(**keys: Any) -> Ways:
    return ways_for(settings_of(**keys), NoNames())


def via(*targets: str, **keys: Any) -> Ways:
    delivery = {"smarthost": ["second", "first"], "tls": "required"}
    return ways_of(delivery=delivery, routes=[{"name": "r", "via": list(targets), **keys}])


def shown(ways: list[Way]) -> list[tuple[str | None, TlsLevel, bool]]:
    return [(way.label, way.demand.level, way.demand.is_implicit) for way in ways]


@pytest.mark.parametrize(
    ("target", "label", "level", "is_implicit"),
    [
        ("first", "smtp.first.test:465", TlsLevel.VERIFY, True),
        ("second", "smtp.second.test:587", TlsLevel.REQUIRED, False),
        ("smtp://mail.test", "mail.test:25", TlsLevel.REQUIRED, False),  # the floor
        ("smtp://[::1]:2525", "[::1]:2525", TlsLevel.REQUIRED, False),
        ("smtps://mail.test", "mail.test:465", TlsLevel.VERIFY, True),
        ("lmtp://mail.test", "mail.test:24", TlsLevel.REQUIRED, False),
        ("lmtp:/run/lmtp", "/run/lmtp", TlsLevel.NONE, False),
        ("smtp:/run/smtp", "/run/smtp", TlsLevel.NONE, False),
        ("maildir:/var/mail/box", "/var/mail/box", TlsLevel.NONE, False),
        ("discard", "discard", TlsLevel.NONE, False),
    ],
)
def test_a_route_leads_where_it_says(
    target: str, label: str, level: TlsLevel, is_implicit: bool
) -> None:
    ways = via(target)

    assert shown(list(ways["r", Road.SMARTHOST])) == [(label, level, is_implicit)]
    assert ("r", Road.DIRECT) not in ways


def test_what_is_no_server_has_a_connector_of_its_own() -> None:
    assert isinstance(via("discard")["r", Road.SMARTHOST][0].connector, Discard)
    assert isinstance(via("maildir:/m")["r", Road.SMARTHOST][0].connector, MaildirConnector)
    assert isinstance(via("lmtp:/l")["r", Road.SMARTHOST][0].connector, SmtpConnector)


def test_the_level_of_a_route_counts_for_what_it_names_itself() -> None:
    ways = via("smtp://mail.test", "smtps://mail.test", "second", tls="verify")

    levels = [way.demand.level for way in ways["r", Road.SMARTHOST]]
    assert levels == [TlsLevel.VERIFY, TlsLevel.VERIFY, TlsLevel.REQUIRED]


def test_behind_mx_stands_the_second_road() -> None:
    ways = via("mx", "first", "lmtp:/run/lmtp", tls="verify")

    assert shown(list(ways["r", Road.DIRECT])) == [(None, TlsLevel.VERIFY, False)]
    assert [way.label for way in ways["r", Road.SMARTHOST]] == ["smtp.first.test:465", "/run/lmtp"]


def test_smarthosts_by_name_keep_their_order() -> None:
    ways = via("smarthost")

    for route in ("", "r"):
        labels = [way.label for way in ways[route, Road.SMARTHOST]]
        assert labels == ["smtp.second.test:587", "smtp.first.test:465"]


def test_all_mail_has_its_roads_whatever_the_routes() -> None:
    ways = ways_of()

    assert list(ways) == [("", Road.DIRECT)]
    assert ways["", Road.DIRECT][0].relay is None


def test_connectors_are_made_once_for_all_that_are_alike() -> None:
    ways = via("mx", "smtp://a.test", "smtp://b.test")

    assert len({way.connector for way in ways["r", Road.SMARTHOST]}) == 1
    assert ways["r", Road.DIRECT][0].reach is ways["", Road.DIRECT][0].reach


def test_a_route_may_have_addresses_of_its_own() -> None:
    ways = via("mx", sources=[{"address": "192.0.2.1"}])

    assert ways["r", Road.DIRECT][0].connector is not ways["", Road.DIRECT][0].connector
    assert ways["r", Road.DIRECT][0].reach is not ways["", Road.DIRECT][0].reach


@pytest.mark.parametrize(
    ("targets", "mode"),
    [
        (["mx"], Mode.DIRECT),
        (["mx", "first"], Mode.FALLBACK),
        (["first", "second"], Mode.SMARTHOST),
        (["discard"], Mode.SMARTHOST),
    ],
)
def test_a_route_has_the_roads_that_it_names(targets: list[str], mode: Mode) -> None:
    terms = terms_for(settings_of(routes=[{"name": "r", "via": targets}]))

    assert terms.of("r").mode is mode
    assert terms.of("gone").mode is Mode.DIRECT


def test_what_a_route_does_not_say_is_as_for_all_mail() -> None:
    routes = [{"name": "r", "via": "mx", "retry": ["5m"]}, {"name": "s", "via": "mx"}]
    terms = terms_for(settings_of(delivery={"give_up_after": "2d"}, routes=routes))

    assert terms.of("r").plan.delays == (300,)
    assert terms.of("r").plan.give_up_after == 2 * 86400
    assert terms.of("s").plan == terms.plan


def test_a_header_field_is_told_by_its_name_in_any_case() -> None:
    routes = settings_of(routes=[{"name": "r", "header": {"X-Stream": "a*"}, "via": "mx"}]).routes

    ((name, pattern),) = rules_for(routes)[0].headers
    assert (name, str(pattern)) == (b"x-stream", "a*")


def test_paths_start_at_the_folder_of_the_configuration() -> None:
    settings = Settings.model_validate(
        {"routes": [{"name": "r", "via": ["maildir:box", "lmtp:./sock"]}]},
        context={"folder": Path("/etc/mta")},
    )

    assert [str(one) for one in settings.routes[0].via] == [
        "maildir:/etc/mta/box",
        "lmtp:/etc/mta/sock",
    ]
