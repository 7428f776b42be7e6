"""Messages of real shapes arrive byte for byte, below what we add, with valid signatures."""

import smtplib
from collections.abc import Sequence

import pytest

from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e import letters
from tests.e2e.checks import assert_signed, fields_before, has_mail_dkim, perl_verdict
from tests.e2e.conftest import MANY

OURS = [b"dkim-signature", b"received"]


def send(
    server: ServerProcess, recipients: Sequence[str], content: bytes, options: Sequence[str] = ()
) -> None:
    with smtplib.SMTP("127.0.0.1", server.port, timeout=30) as client:
        client.ehlo("client.test")
        refused = client.sendmail(letters.SENDER, recipients, content, options)
    assert refused == {}


@pytest.mark.parametrize("shape", letters.bodies())
def test_a_body_arrives_as_it_left(server: ServerProcess, internet: Internet, shape: str) -> None:
    recipient = f"{shape.replace(' ', '-')}@accept.test"
    body = letters.bodies()[shape]
    more = b"" if body.isascii() else letters.EIGHT_BIT
    original = letters.with_body(recipient, body, more=more)

    send(server, [recipient], original, ["BODY=8BITMIME"])

    arrived = internet.mail_to(recipient)
    assert fields_before(original, arrived.content) == OURS
    assert_signed(arrived.content, internet)


@pytest.mark.parametrize("shape", letters.headers())
def test_a_header_arrives_as_it_left(server: ServerProcess, internet: Internet, shape: str) -> None:
    recipient = f"{shape.replace(' ', '-')}@clear.test"
    original = letters.with_body(recipient, b"Hi!\r\n", more=letters.headers()[shape])

    send(server, [recipient], original)

    arrived = internet.mail_to(recipient)
    assert fields_before(original, arrived.content) == OURS
    assert_signed(arrived.content, internet)


def test_mime_with_attachments_arrives_as_it_left(
    server: ServerProcess, internet: Internet
) -> None:
    original = letters.with_attachments("mime@accept.test")

    send(server, ["mime@accept.test"], original)

    arrived = internet.mail_to("mime@accept.test")
    assert fields_before(original, arrived.content) == OURS
    assert_signed(arrived.content, internet)


def test_a_missing_last_line_end_is_all_that_is_added(
    server: ServerProcess, internet: Internet
) -> None:
    original = letters.with_body("unended@accept.test", b"no line end")

    send(server, ["unended@accept.test"], original)

    arrived = internet.mail_to("unended@accept.test")
    assert fields_before(original + b"\r\n", arrived.content) == OURS


def test_bare_newlines_become_whole_ones_before_the_signature(
    server: ServerProcess, internet: Internet
) -> None:
    original = letters.with_body("bare@accept.test", b"one\ntwo\rthree\r\n")

    send(server, ["bare@accept.test"], original)

    arrived = internet.mail_to("bare@accept.test")
    whole = letters.with_body("bare@accept.test", b"one\r\ntwo\r\nthree\r\n")
    assert fields_before(whole, arrived.content) == OURS
    assert_signed(arrived.content, internet)


def test_missing_fields_are_added_and_signed(server: ServerProcess, internet: Internet) -> None:
    original = b"From: app@app.test\r\nTo: few@accept.test\r\n\r\nHi!\r\n"

    send(server, ["few@accept.test"], original)

    arrived = internet.mail_to("few@accept.test")
    assert fields_before(original, arrived.content) == [*OURS, b"date", b"message-id"]
    assert_signed(arrived.content, internet)


def test_blind_recipients_stay_blind(server: ServerProcess, internet: Internet) -> None:
    more = b"Bcc: secret@accept.test,\r\n other@accept.test\r\n"
    original = letters.with_body("seen@accept.test", b"Hi!\r\n", more=more)

    send(server, ["seen@accept.test", "secret@accept.test"], original)

    arrived = internet.mail_to("secret@accept.test")
    assert b"secret" not in arrived.content
    assert fields_before(original.replace(more, b""), arrived.content) == OURS


def test_addresses_and_header_in_utf_8_arrive(server: ServerProcess, internet: Internet) -> None:
    recipient = "jörg@accept.test"
    original = letters.with_body(recipient, "Grüße\r\n".encode(), "Grüße", letters.EIGHT_BIT)

    with smtplib.SMTP("127.0.0.1", server.port, timeout=30) as client:
        client.ehlo("client.test")
        options = ["SMTPUTF8", "BODY=8BITMIME"]
        client.sendmail("größe@app.test", [recipient], original, options)

    arrived = internet.mail_to(recipient)
    assert arrived.sender == "größe@app.test"
    assert fields_before(original, arrived.content) == OURS
    assert_signed(arrived.content, internet)


def test_twenty_megabytes_arrive(server: ServerProcess, internet: Internet) -> None:
    original = letters.of_size("large@accept.test", 20_000_000)

    send(server, ["large@accept.test"], original)

    arrived = internet.mail_to("large@accept.test", within=60)
    assert len(original) == 20_000_000
    assert fields_before(original, arrived.content) == OURS
    assert_signed(arrived.content, internet)


def test_a_thousand_recipients_in_fifty_domains_get_one_message_a_domain(
    server: ServerProcess, internet: Internet
) -> None:
    domains = [character.domain for character in MANY]
    recipients = [f"user{number}@{domain}" for number in range(20) for domain in domains]

    send(server, recipients, letters.plain("everybody@app.test"))

    arrived = {domain: internet.mail(domain, 1) for domain in domains}
    assert len(recipients) == 1000
    assert {domain: len(mail) for domain, mail in arrived.items()} == dict.fromkeys(domains, 1)
    got = sorted(who for (mail,) in arrived.values() for who in mail.recipients)
    assert got == sorted(recipients)


@pytest.mark.peers
@pytest.mark.skipif(not has_mail_dkim(), reason="Perl's Mail::DKIM is not installed")
@pytest.mark.parametrize("shape", ["leading dots", "white space to be kept", "utf-8", "empty"])
def test_another_verifier_says_that_signatures_pass(
    server: ServerProcess, internet: Internet, shape: str
) -> None:
    recipient = f"perl-{shape.replace(' ', '-')}@accept.test"
    send(server, [recipient], letters.with_body(recipient, letters.bodies()[shape]))

    verdict = perl_verdict(internet.mail_to(recipient).content, internet)

    assert verdict == "pass"
