"""Real receivers take our mail as they do everybody's."""

import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mta.sandbox.dns import Records
from mta.sandbox.findings import dkim_verdict, reported, words_for_people
from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e import letters, postfix
from tests.e2e.checks import fields_before, peer, until_it_listens

SINK = "127.0.1.1"  # addresses that no exchanger of the sandbox has
POSTFIX = "127.0.1.2"

pytestmark = pytest.mark.peers


def publish(internet: Internet, domain: str, address: str) -> None:
    internet.world.dns.zone[f"mx.{domain}"] = Records(a=(address,))
    internet.world.dns.zone[domain] = Records(mx=((10, f"mx.{domain}"),))


def send(server: ServerProcess, recipient: str, content: bytes) -> str:
    """Hand a message in; gives its id."""
    with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
        client.ehlo("client.test")
        client.mail(letters.SENDER, ["BODY=8BITMIME"])
        client.rcpt(recipient)
        code, text = client.data(content)
    assert code == 250
    return text.decode().split()[3]


@contextmanager
def smtp_sink(address: str, port: int, folder: Path) -> Iterator[None]:
    """Postfix's smtp-sink, which writes each message to a file in `folder`."""
    command = ["smtp-sink", "-u", "root", "-d", f"{folder}/", f"{address}:{port}", "100"]
    with subprocess.Popen(command) as sink:
        try:
            until_it_listens(address, port)
            yield
        finally:
            sink.terminate()


@peer("smtp-sink")
def test_smtp_sink(server: ServerProcess, internet: Internet, tmp_path: Path) -> None:
    publish(internet, "sink.test", SINK)

    with smtp_sink(SINK, internet.world.port, tmp_path):
        ids = [send(server, "anna@sink.test", letters.plain("anna@sink.test")) for _ in range(20)]
        for id in ids:
            server.event(event="delivered", id=id)

    assert len(list(tmp_path.iterdir())) == 20


@pytest.fixture(scope="module")
def neighbour(internet: Internet) -> Iterator[postfix.Postfix]:
    objection = postfix.objection_to_running()
    if objection is not None:
        pytest.skip(objection)
    publish(internet, "postfix.test", POSTFIX)
    with postfix.running("postfix.test", POSTFIX, internet.world.port) as running:
        yield running


def test_postfix_takes_mail_over_tls_unharmed(
    server: ServerProcess, internet: Internet, neighbour: postfix.Postfix
) -> None:
    original = letters.with_attachments("anna@postfix.test")

    id = send(server, "anna@postfix.test", original)

    delivered = server.event(event="delivered", id=id)
    assert delivered["tls"]["version"] == "TLSv1.3"
    (kept,) = [mail for mail in neighbour.mail() if id.encode() in mail]
    assert b"using TLSv1.3" in kept
    whole = kept.replace(b"\n", b"\r\n")
    assert whole.endswith(original)
    assert dkim_verdict(whole, internet.text_record) == "pass"


def test_postfix_takes_bodies_of_every_shape(
    server: ServerProcess, internet: Internet, neighbour: postfix.Postfix
) -> None:
    before = len(neighbour.mail(0))
    shapes = {
        shape: letters.with_body("anna@postfix.test", body, shape, letters.EIGHT_BIT)
        for shape, body in letters.bodies().items()
    }

    ids = {send(server, "anna@postfix.test", original): original for original in shapes.values()}

    kept = neighbour.mail(before + len(shapes))
    for id, original in ids.items():
        (mail,) = [mail for mail in kept if f"id {id}".encode() in mail]
        whole = mail.replace(b"\n", b"\r\n")
        assert fields_before(original, whole)[-2:] == [b"dkim-signature", b"received"]
        assert dkim_verdict(whole, internet.text_record) == "pass"


def test_postfix_refuses_whom_it_does_not_know_and_the_sender_learns_it(
    server: ServerProcess, internet: Internet, neighbour: postfix.Postfix
) -> None:
    id = send(server, "nobody@postfix.test", letters.plain("nobody@postfix.test"))

    failed = server.event(event="failed", id=id)

    report = server.event(event="reported", id=id)["report"]
    server.event(event="delivered", id=report)
    (told,) = [m for m in internet.mail("app.test") if report.encode() in m.content]
    assert failed["reply"]["status"] == "5.1.1"
    assert reported(told.content) == {"nobody@postfix.test": "5.1.1"}
    assert "User unknown in virtual mailbox table" in words_for_people(told.content)
