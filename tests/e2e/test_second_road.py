"""The second road with the real server: remembered, probed, left again, taken for a deadline."""

import smtplib
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mta.sandbox.characters import Character
from mta.sandbox.exchangers import Manners
from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e import letters

REFUSING = Manners(at_sender="550 5.7.1 Blocked: your IP address is on a blocklist")
BUSY = Manners(at_recipient="450 4.2.1 Try again later")
DOMAINS = ("remembered.test", "restarted.test", "busy.test", "dropped.test")


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    manners = {domain: BUSY if domain in DOMAINS[2:] else REFUSING for domain in DOMAINS}
    characters = [Character(domain, "is moody", (), (manners[domain],)) for domain in DOMAINS]
    with Internet(tmp_path_factory.mktemp("moody"), characters) as world:
        yield world


@pytest.fixture
def own(tmp_path: Path, internet: Internet) -> Iterator[ServerProcess]:
    settings = internet.world.settings() | {"spool": str(tmp_path / "spool")}
    settings["delivery"] |= {"give_up_after": "1h"}
    with closing(ServerProcess(settings, tmp_path)) as process:
        yield process


def send(server: ServerProcess, recipient: str, *fields: bytes) -> str:
    """Hand a message in, with more fields in its header; gives its id."""
    content = b"".join(field + b"\r\n" for field in fields) + letters.plain(recipient)
    with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
        client.ehlo("client.test")
        client.mail(letters.SENDER)
        client.rcpt(recipient)
        code, text = client.data(content)
    assert code == 250, text
    return text.decode().split()[3]


def test_a_shut_road_is_left_at_once_probed_and_taken_again(
    own: ServerProcess, internet: Internet
) -> None:
    there = internet.exchanger("remembered.test")
    own.settings["delivery"]["fallback"] = {"shut_for": "2s", "shut_at_most": "2s"}
    own.start()

    first = send(own, "first@remembered.test")
    shut = own.event(event="road-shut", site="remembered.test")
    assert (shut["text"], shut["reply"]["status"]) == ("blocked", "5.7.1")
    assert own.event(event="rerouted", id=first)["text"] == "blocked"
    assert own.event(event="delivered", id=first)["road"] == "smarthost"

    connections = there.connections
    second = send(own, "second@remembered.test")
    assert own.event(event="rerouted", id=second)["attempts"] == 0
    assert own.event(event="delivered", id=second)["road"] == "smarthost"
    assert there.connections == connections

    there.manners = Manners()
    ends_at, road = time.monotonic() + 20, ""
    while road != "direct" and time.monotonic() < ends_at:
        road = own.event(event="delivered", id=send(own, "again@remembered.test"))["road"]
    assert road == "direct"
    assert own.event(event="road-opened", site="remembered.test")["text"] == "blocked"
    assert internet.received_by("remembered.test", "again@remembered.test") != []


def test_a_shut_road_is_known_after_a_restart(own: ServerProcess, internet: Internet) -> None:
    own.start()
    own.event(event="delivered", id=send(own, "first@restarted.test"))
    own.stop()
    connections = internet.exchanger("restarted.test").connections

    own.start()
    second = send(own, "second@restarted.test")

    assert own.event(event="rerouted", id=second)["attempts"] == 0
    assert own.event(event="delivered", id=second)["road"] == "smarthost"
    assert internet.exchanger("restarted.test").connections == connections


def test_what_is_to_be_there_soon_takes_the_second_road_in_time(
    own: ServerProcess, internet: Internet
) -> None:
    own.start()

    id = send(own, "soon@busy.test", b"X-MTA-Deadline: 8s")

    assert own.event(event="deferred", id=id)["road"] == "direct"
    assert own.event(event="rerouted", id=id)["text"] == "deadline"
    delivered = own.event(event="delivered", id=id)
    assert delivered["road"] == "smarthost"
    assert delivered["seconds"] < 8
    (received,) = internet.received_by("smarthost.test", "soon@busy.test")
    assert b"deadline" not in received.content.lower()


def test_what_cannot_be_there_in_time_is_dropped_and_an_event_says_so(
    own: ServerProcess, internet: Internet
) -> None:
    own.settings["delivery"]["mode"] = "direct"
    own.start()

    id = send(own, "late@dropped.test", b"X-MTA-Deadline: 4s")

    failed = own.event(event="failed", id=id)
    assert failed["reply"]["status"] == "5.4.7"
    assert failed["seconds"] <= 5
    assert own.event(event="dropped", id=id)["text"].startswith("its time is over")
    own.event(event="settled", id=id)
    assert internet.received_by("dropped.test", "late@dropped.test") == []
