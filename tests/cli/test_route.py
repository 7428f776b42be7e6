"""`mta route`: the decision, and the look at what is there."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mta.cli import main
from mta.sandbox.internet import Internet

ROUTES = [
    {"name": "invoices", "tag": "invoice", "via": "backup"},
    {"name": "bulk", "header": {"X-Stream": "b*"}, "user": "shop", "via": "discard"},
    {"name": "boxes", "recipient": "*.boxes.test", "via": "maildir:Maildir"},
    {"name": "reports", "sender": "<>", "via": ["mx", "smtp://[::1]:2525"], "tls": "required"},
]
SETTINGS: dict[str, Any] = {
    "hostname": "mail.example.com",
    "smarthosts": [{"name": "backup", "host": "smtp.example.net"}],
    "routes": ROUTES,
    "delivery": {"give_up_after": "3d", "retry": ["1m", "1h"]},
}


class Route:
    """`mta route` with a configuration."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.settings = dict(SETTINGS)
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str]:
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(self.settings))
        status = main(["route", "--config", str(path), *words])
        return status, self._capsys.readouterr().out

    def as_json(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self(*words, "--json")[1])
        return found


@pytest.fixture
def route(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Route:
    return Route(tmp_path, capsys)


def test_the_route_is_said_with_its_ground_and_its_hosts(route: Route) -> None:
    status, out = route("bob@a.test", "--tag", "invoice")

    assert status == 0
    assert out.splitlines()[0] == "bob@a.test takes the route invoices: tag is invoice"
    assert "smarthost  smtp.example.net:587  verify" in out
    assert "tried again after 1m, 1h; given up after 3d" in out


def test_the_limits_are_those_of_the_site(route: Route) -> None:
    route.settings["delivery"] = {"per_destination": 7, "messages_per_connection": 20}

    shown = route.as_json("bob@a.test", "--tag", "invoice")

    (limits,) = shown["limits"]
    assert limits["site"] == "smarthost:smtp.example.net"
    assert (limits["connections"], limits["messages_per_connection"]) == (7, 20)


def test_it_is_said_why_no_earlier_route_is_taken(route: Route) -> None:
    _, out = route("bob@a.boxes.test")

    assert "not invoices: no tag is invoice" in out
    assert "not bulk: user is not shop" in out
    assert "takes the route boxes: recipient is *.boxes.test" in out


def test_what_fits_no_route_takes_the_default_one(route: Route) -> None:
    _, out = route("bob@a.test", "--from", "app@example.com")

    assert out.startswith("bob@a.test takes the default route: no route fits")
    assert "direct  mail exchangers of a.test  opportunistic" in out


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--header", "X-Stream: bulk", "--user", "shop"], "bulk"),
        (["--header", "X-Stream: bulk"], None),
        (["--from", "<>"], "reports"),
        (["--from", ""], "reports"),
        ([], None),
    ],
)
def test_the_message_is_described_by_options(
    route: Route, words: list[str], name: str | None
) -> None:
    assert route.as_json("bob@a.test", "--from", "app@example.com", *words)["route"] == name


def test_a_route_with_two_roads_shows_both(route: Route) -> None:
    shown = route.as_json("bob@a.test", "--from", "")

    assert shown["roads"] == [
        {"road": "direct", "to": None, "tls": "required"},
        {"road": "smarthost", "to": "[::1]:2525", "tls": "required"},
    ]


@pytest.mark.parametrize("words", [["bob"], ["bob@a.test", "--header", "nothing"], []])
def test_a_call_that_is_wrong_ends_with_2(route: Route, words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        route(*words)

    assert ended.value.code == 2


# With a look at the world


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    with Internet(tmp_path_factory.mktemp("internet")) as world:
        yield world


@pytest.fixture
def live(route: Route, internet: Internet) -> Route:
    route.settings = internet.world.settings() | {
        "spool": str(route.folder / "spool"),
        "routes": [*ROUTES[2:3], {"name": "dead", "tag": "dead", "via": "smtp://127.0.0.1:1"}],
    }
    return route


def test_a_look_has_every_answer_and_the_tls_of_every_host(live: Route) -> None:
    shown = live.as_json("bob@accept.test", "--live")

    kinds = [(one["type"], one["name"]) for one in shown["lookups"]]
    assert ("MX", "accept.test") in kinds
    assert ("A", "mx1.accept.test") in kinds
    direct = [one for one in shown["hosts"] if one["road"] == "direct"]
    assert direct[0]["host"] == "mx1.accept.test"
    assert direct[0]["tls"]["version"] == "TLSv1.3"
    assert direct[0]["reply"] is None


def test_a_look_sends_no_mail(live: Route, internet: Internet) -> None:
    live("bob@accept.test", "--live")

    assert internet.received_by("accept.test", "bob@accept.test") == []


def test_a_look_shows_a_block_for_each_host(live: Route) -> None:
    status, out = live("bob@clear.test", "--live")

    assert status == 0
    assert "asked  for" in out
    assert "found: in clear" in out


def test_where_no_road_is_open_the_look_ends_with_1(live: Route) -> None:
    status, out = live("bob@accept.test", "--live", "--tag", "dead")

    assert status == 1
    assert "deferred at connect: 451 4.4.1 Connection refused" in out


def test_a_look_makes_no_maildir(live: Route) -> None:
    status, out = live("bob@a.boxes.test", "--live")

    assert status == 0
    assert "on this machine: nobody is asked" in out
    assert not (live.folder / "Maildir").exists()


def test_what_the_dns_does_not_know_is_said(live: Route) -> None:
    live.settings["delivery"]["mode"] = "direct"

    status, out = live("bob@no-such-domain.test", "--live")

    assert status == 1
    assert "failed at lookup: 550 5.1.2" in out
