"""What senders are told by the real server, and by a real Postfix where it is left to that."""

import smtplib
from collections.abc import Iterator, Mapping
from email import message_from_bytes
from email.message import Message

import pytest

from mta.sandbox.dns import Records
from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e import letters, postfix

POSTFIX = "127.0.1.3"  # an address that no exchanger of the sandbox has


def send(
    server: ServerProcess, wishes: Mapping[str, list[str]], of_message: list[str] | None = None
) -> str:
    """Hand a message in, with what is wished for each recipient; gives its id."""
    with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
        client.ehlo("client.test")
        assert client.has_extn("dsn")
        assert client.mail(letters.SENDER, of_message or [])[0] == 250
        for recipient, words in wishes.items():
            assert client.rcpt(recipient, words)[0] == 250
        code, text = client.data(letters.plain(next(iter(wishes))))
    assert code == 250
    return text.decode().split()[3]


def groups(content: bytes) -> list[Message]:
    """The groups of fields about each recipient in a report."""
    return [part for part in message_from_bytes(content).walk() if "Final-Recipient" in part]


def told(server: ServerProcess, internet: Internet, id: str) -> bytes:
    """The first report about this message, as its sender got it."""
    report = server.event(event="reported", id=id)["report"]
    server.event(event="delivered", id=report)
    return next(m.content for m in internet.mail("app.test") if f"{report}@".encode() in m.content)


def test_a_success_is_told_where_the_peer_does_not_tell_it(
    server: ServerProcess, internet: Internet
) -> None:
    wishes = ["NOTIFY=SUCCESS", "ORCPT=rfc822;Anna+2Bx@old.test"]
    id = send(server, {"anna@accept.test": wishes}, ["RET=HDRS", "ENVID=order+207"])

    content = told(server, internet, id)

    (about,) = groups(content)
    assert about["Action"] == "relayed"
    assert about["Original-Recipient"] == "rfc822; Anna+x@old.test"
    assert b"\r\nOriginal-Envelope-Id: order 7\r\n" in content


def test_each_recipient_of_a_list_has_a_sender_of_its_own(
    server: ServerProcess, internet: Internet
) -> None:
    send(server, {"verp-a@accept.test": [], "verp-b@accept.test": []}, ["XVERP"])

    sender, _, domain = letters.SENDER.strip("<>").partition("@")
    for name in ("verp-a", "verp-b"):
        internet.mail_to(f"{name}@accept.test")
        (got,) = internet.received_by("accept.test", f"{name}@accept.test")
        assert got.sender == f"{sender}+{name}=accept.test@{domain}"


def test_a_failure_that_its_sender_does_not_want_to_hear_of_is_dropped(
    server: ServerProcess,
) -> None:
    id = send(server, {"nobody@picky.test": ["NOTIFY=NEVER"]})

    server.event(event="dropped", id=id, recipient="nobody@picky.test")
    server.event(event="settled", id=id)

    assert not [e for e in server.events if e["event"] == "reported" and e["id"] == id]


def test_a_delay_is_told_before_the_failure_that_it_ends_in(
    own: ServerProcess, internet: Internet
) -> None:
    own.settings["delivery"] |= {"delay_report_after": "2s", "retry": ["4s"]}
    own.start()
    id = send(own, {"anna@busy.test": []})

    (about,) = groups(told(own, internet, id))
    own.event(event="settled", id=id)

    assert about["Action"] == "delayed"
    reports = [e["report"] for e in own.events if e["event"] == "reported" and e["id"] == id]
    assert reports == [f"{id}d", f"{id}r0"]


@pytest.fixture(scope="module")
def neighbour(internet: Internet) -> Iterator[postfix.Postfix]:
    """Postfix, which offers DSN, and sends its reports to the sender's exchanger."""
    objection = postfix.objection_to_running()
    if objection is not None:
        pytest.skip(objection)
    zone = internet.world.dns.zone
    zone["mx.postfix.test"] = Records(a=(POSTFIX,))
    zone["postfix.test"] = Records(mx=((10, "mx.postfix.test"),))
    routes = {"app.test": zone["mx1.app.test"].a[0]}
    with postfix.running("postfix.test", POSTFIX, internet.world.port, routes) as running:
        yield running


@pytest.mark.peers
def test_postfix_tells_the_success_that_was_left_to_it(
    server: ServerProcess, internet: Internet, neighbour: postfix.Postfix
) -> None:
    before = len(neighbour.mail(0))
    wishes = ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;Anna+2Bx@old.test"]

    id = send(server, {"anna@postfix.test": wishes}, ["RET=HDRS", "ENVID=order+207"])
    server.event(event="settled", id=id)
    neighbour.mail(before + 1)

    came = internet.received("app.test")
    while not (theirs := [m.content for m in came if b"dns; mx.postfix.test" in m.content]):
        came = internet.mail("app.test", len(came) + 1)
    (about,) = groups(theirs[0])
    assert about["Action"] == "delivered"
    assert about["Original-Recipient"] == "rfc822;Anna+x@old.test"
    assert b"Original-Envelope-Id: order 7" in theirs[0]
    assert not [e for e in server.events if e["event"] == "reported" and e["id"] == id]


@pytest.mark.peers
def test_postfix_refuses_and_the_sender_hears_of_it_only_if_he_wishes(
    server: ServerProcess, internet: Internet, neighbour: postfix.Postfix
) -> None:
    wishes = {"nobody@postfix.test": ["NOTIFY=FAILURE"], "no-one@postfix.test": ["NOTIFY=NEVER"]}

    id = send(server, wishes)

    (about,) = groups(told(server, internet, id))
    assert about["Final-Recipient"] == "rfc822; nobody@postfix.test"
    server.event(event="dropped", id=id, recipient="no-one@postfix.test")
