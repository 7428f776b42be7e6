"""Routes with the real server: relays in order, LMTP, a Maildir, nowhere; and their end."""

import smtplib
from pathlib import Path
from typing import Any

from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e import letters
from tests.e2e.mailboxes import Mailboxes


def send(server: ServerProcess, *recipients: str, fields: str = "") -> str:
    """Hand a message in; gives its id."""
    with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
        client.ehlo("client.test")
        client.mail(letters.SENDER)
        for recipient in recipients:
            client.rcpt(recipient)
        code, text = client.data(fields.encode() + letters.plain(recipients[0]))
    assert code == 250
    return text.decode().split()[3]


def with_routes(server: ServerProcess, *routes: dict[str, Any]) -> ServerProcess:
    server.settings["routes"] = list(routes)
    server.start()
    return server


def test_mail_goes_to_a_socket_that_speaks_lmtp(own: ServerProcess, tmp_path: Path) -> None:
    socket = tmp_path / "lmtp"
    mailboxes = Mailboxes(socket)
    mailboxes.start()
    try:
        with_routes(own, {"name": "boxes", "recipient": "boxes.test", "via": f"lmtp:{socket}"})
        id = send(own, "ann@boxes.test", "full@boxes.test", "bob@boxes.test")

        own.event(event="settled", id=id)
    finally:
        mailboxes.stop()

    assert [recipient for recipient, _ in mailboxes.mail] == ["ann@boxes.test", "bob@boxes.test"]
    delivered = own.event(event="delivered", id=id, recipient="ann@boxes.test")
    assert (delivered["route"], delivered["host"]) == ("boxes", str(socket))
    failed = own.event(event="failed", id=id, recipient="full@boxes.test")
    assert failed["reply"]["status"] == "5.2.2"


def test_mail_goes_into_a_maildir(own: ServerProcess, tmp_path: Path) -> None:
    with_routes(own, {"name": "box", "tag": "copy", "via": "maildir:Maildir"})

    id = send(own, "ann@accept.test", fields="X-MTA-Tag: copy\r\n")

    own.event(event="delivered", id=id, route="box")
    (file,) = (tmp_path / "Maildir" / "new").iterdir()
    text = file.read_bytes()
    assert text.startswith(b"Return-Path: <" + letters.SENDER.encode() + b">\nDelivered-To: ann@")
    assert b"X-MTA-Tag" not in text


def test_mail_goes_nowhere_and_an_event_says_so(own: ServerProcess, internet: Internet) -> None:
    with_routes(own, {"name": "test", "header": {"X-Test": "*"}, "via": "discard"})

    id = send(own, "gone@accept.test", fields="X-Test: yes\r\n")

    own.event(event="settled", id=id)
    assert own.event(event="discarded", id=id)["route"] == "test"
    assert internet.received_by("accept.test", "gone@accept.test") == []


def test_where_one_smarthost_is_dead_the_next_takes_the_mail(
    own: ServerProcess, internet: Internet
) -> None:
    living = own.settings["delivery"]["smarthost"]
    own.settings["smarthosts"] = [
        {"name": "dead", "host": "127.0.0.1", "port": 1, "tls": "none"},
        {"name": "living", **living},
    ]
    own.settings["delivery"] |= {"mode": "smarthost", "smarthost": ["dead", "living"]}
    own.start()

    id = send(own, "failover@nowhere.test")

    assert own.event(event="delivered", id=id)["host"] == "mx1.smarthost.test"
    assert [event for event in own.events if event["event"] == "deferred"] == []
    assert len(internet.received_by("smarthost.test", "failover@nowhere.test")) == 1


def test_a_route_that_is_taken_away_gives_its_mail_to_the_default_one(
    own: ServerProcess, internet: Internet
) -> None:
    own.settings["delivery"] |= {"retry": ["1h"], "give_up_after": "1d"}
    with_routes(own, {"name": "shut", "recipient": "accept.test", "via": "smtp://127.0.0.1:1"})
    id = send(own, "waits@accept.test")
    own.event(event="deferred", id=id, route="shut")

    own.settings |= {"routes": []}
    own.settings["delivery"]["retry"] = ["1s"]
    own.reload()

    assert "1 recipients" in own.says("the route shut is gone")
    own.stop()
    own.start()
    assert "shut" in own.says("the route shut is gone")


def test_a_route_gives_up_when_it_says(own: ServerProcess) -> None:
    own.settings["delivery"] |= {"retry": ["1h"], "give_up_after": "1d"}
    hasty = {"retry": ["1s"], "give_up_after": "2s"}
    with_routes(own, {"name": "shut", "user": [], "via": "smtp://127.0.0.1:1", **hasty})

    id = send(own, "hasty@accept.test")

    assert own.event(event="failed", id=id)["attempts"] >= 2
