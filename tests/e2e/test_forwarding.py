"""Mail of others through the real server: sealed, its sender rewritten, and its bounce."""

import smtplib
import time
from pathlib import Path

import dkim
import pytest

from mta.rules.message.dkimrecord import DkimRecord
from mta.rules.message.signing import SigningKey

from mta.edge.keys import load_key
from mta.edge.signer import Draft, signatures

from mta.sandbox.characters import SENDER_DOMAIN
from mta.sandbox.dns import Records
from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess

KEYS = Path(__file__).parent.parent.parent / "keys.example"
THEIRS = load_key(KEYS / "example.com.s1.pem")
OURS = load_key(KEYS / "example.org.s1.pem")


@pytest.fixture
def forwarder(own: ServerProcess, internet: Internet, tmp_path: Path) -> ServerProcess:
    zone = internet.world.dns.zone
    for record in (
        DkimRecord("accept.test", "s1", THEIRS.public),
        DkimRecord(SENDER_DOMAIN, "arc", OURS.public),
    ):
        zone[record.name] = Records(txt=(record.value,))
    (tmp_path / "srs.secret").write_text("a secret of this test\n")
    own.settings["senders"] = [SENDER_DOMAIN]
    own.settings["forwarding"] = {
        "networks": ["127.0.0.0/8"],
        "arc": {
            "domain": SENDER_DOMAIN,
            "selector": "arc",
            "key": str(KEYS / "example.org.s1.pem"),
        },
        "srs": {"domain": SENDER_DOMAIN, "secret_file": "srs.secret"},
    }
    own.start()
    return own


def send(server: ServerProcess, sender: str, recipient: str, content: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", server.port, timeout=30) as client:
        client.sendmail(sender, [recipient], content)


def test_a_forwarded_message_is_sealed_and_its_bounce_comes_back(
    forwarder: ServerProcess, internet: Internet
) -> None:
    content = (
        b"From: ann@accept.test\r\nTo: list@app.test\r\nSubject: hello\r\n"
        b"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@accept.test>\r\n\r\nHi\r\n"
    )
    key = SigningKey("accept.test", "s1", THEIRS.sign)
    signed = signatures(Draft(content, (key,), int(time.time()))) + content

    send(forwarder, "ann@accept.test", "bob@clear.test", signed)

    arrived = internet.mail_to("bob@clear.test")

    def from_dns(name: bytes, timeout: float = 5) -> bytes | None:
        return internet.text_record(name.decode())

    verdict, _, _ = dkim.arc_verify(arrived.content, dnsfunc=from_dns)
    assert verdict == dkim.CV_Pass
    assert b"dkim=pass header.d=accept.test header.s=s1" in arrived.content
    assert dkim.verify(arrived.content, dnsfunc=from_dns)  # theirs, which we left whole
    assert arrived.sender.startswith("SRS0=")

    send(forwarder, "", arrived.sender, b"From: mailer@clear.test\r\n\r\nIt did not arrive\r\n")

    bounce = internet.mail_to("ann@accept.test")
    assert bounce.sender == ""


def test_a_rewritten_sender_that_we_did_not_make_is_refused(forwarder: ServerProcess) -> None:
    with (
        smtplib.SMTP("127.0.0.1", forwarder.port, timeout=30) as client,
        pytest.raises(smtplib.SMTPRecipientsRefused) as refused,
    ):
        client.sendmail("", [f"SRS0=aaaaaa=aa=accept.test=eve@{SENDER_DOMAIN}"], b"From: x\r\n")

    ((code, text),) = refused.value.recipients.values()
    assert (code, text) == (550, b"5.1.1 No such rewritten sender: its hash is wrong")
