"""The roads that mail takes, and what must be proved on them."""

import smtplib
import ssl
from hashlib import sha256

import pytest

from mta.edge.certificates import self_signed_in

from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e import letters


def send(server: ServerProcess, recipient: str) -> str:
    """Hand a message in; gives its id."""
    with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
        client.ehlo("client.test")
        client.mail(letters.SENDER)
        client.rcpt(recipient)
        code, text = client.data(letters.plain(recipient))
    assert code == 250
    return text.decode().split()[3]


def trusting(server: ServerProcess, internet: Internet) -> ServerProcess:
    """The server, with the smarthost's certificate among those that it trusts."""
    server.environment["SSL_CERT_FILE"] = str(next(internet.world.folder.glob("tls/*cert.pem")))
    server.settings["delivery"]["smarthost"]["verify"] = True
    return server


def test_all_mail_takes_the_road_by_the_smarthost(own: ServerProcess, internet: Internet) -> None:
    own.settings["delivery"]["mode"] = "smarthost"
    own.start()

    id = send(own, "by-smarthost@nowhere.test")

    delivered = own.event(event="delivered", id=id)
    assert delivered["host"] == "mx1.smarthost.test"
    assert delivered["road"] == "smarthost"
    (arrived,) = internet.received_by("smarthost.test", "by-smarthost@nowhere.test")
    assert arrived.login == "app"
    assert arrived.tls == "TLSv1.3"


def test_the_smarthost_s_certificate_is_verified(own: ServerProcess, internet: Internet) -> None:
    own.settings["delivery"]["mode"] = "smarthost"
    trusting(own, internet).start()

    id = send(own, "verified@nowhere.test")

    assert own.event(event="delivered", id=id)["tls"]["verified"] is True


@pytest.mark.parametrize("is_right", [True, False])
def test_the_settings_may_name_the_smarthost_s_certificate(
    is_right: bool, own: ServerProcess, internet: Internet
) -> None:
    certificate, _ = self_signed_in(internet.world.folder / "tls")
    fingerprint = sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()
    own.settings["delivery"]["mode"] = "smarthost"
    own.settings["delivery"]["smarthost"]["fingerprints"] = [fingerprint if is_right else "ab" * 32]
    own.start()

    id = send(own, "fingerprint@nowhere.test")

    if is_right:
        assert own.event(event="delivered", id=id)["tls"]["proof"] == "fingerprint"
    else:
        assert fingerprint in own.event(event="deferred", id=id)["reply"]["text"]


def test_a_smarthost_that_nobody_vouches_for_gets_neither_mail_nor_password(
    own: ServerProcess, internet: Internet
) -> None:
    own.settings["delivery"]["mode"] = "smarthost"
    own.settings["delivery"]["smarthost"]["verify"] = True
    own.start()

    id = send(own, "untrusted@nowhere.test")

    assert own.event(event="deferred", id=id)["stage"] == "tls"
    assert own.event(event="failed", id=id)["stage"] == "tls"
    assert internet.received_by("smarthost.test", "untrusted@nowhere.test") == []


def test_a_wrong_password_keeps_mail_waiting(own: ServerProcess, internet: Internet) -> None:
    own.settings["delivery"] |= {"mode": "smarthost", "give_up_after": "1h"}
    own.settings["delivery"]["smarthost"]["password"] = "wrong"
    own.start()

    id = send(own, "password@nowhere.test")

    deferred = own.event(event="deferred", id=id)
    assert deferred["stage"] == "login"
    assert "wrong" not in str(own.events)


def test_a_recipient_that_is_refused_is_not_tried_by_another_road(
    own: ServerProcess, internet: Internet
) -> None:
    own.start()

    id = send(own, "nobody@picky.test")

    assert own.event(event="failed", id=id)["road"] == "direct"
    own.event(event="settled", id=id)
    assert internet.received_by("smarthost.test", "nobody@picky.test") == []


@pytest.mark.parametrize("domain", ["clear.test", "brokentls.test"])
def test_where_tls_is_required_nothing_goes_in_clear(
    own: ServerProcess, internet: Internet, domain: str
) -> None:
    own.settings["delivery"] |= {"mode": "direct", "tls": "required", "give_up_after": "1h"}
    own.start()

    id = send(own, f"required@{domain}")

    assert own.event(event="deferred", id=id)["stage"] == "tls"
    assert internet.received_by(domain, f"required@{domain}") == []


def test_where_verified_tls_is_required_a_self_signed_certificate_is_not_enough(
    own: ServerProcess, internet: Internet
) -> None:
    own.settings["delivery"] |= {"mode": "direct", "tls": "verify", "give_up_after": "1h"}
    own.start()

    id = send(own, "verify@accept.test")

    assert own.event(event="deferred", id=id)["stage"] == "tls"
    assert internet.received_by("accept.test", "verify@accept.test") == []


def test_mail_for_a_blocked_address_takes_the_second_road_and_says_why(
    own: ServerProcess, internet: Internet
) -> None:
    own.start()

    id = send(own, "second-road@blocked.test")

    assert own.event(event="rerouted", id=id)["text"] == "blocked"
    assert own.event(event="delivered", id=id)["road"] == "smarthost"
