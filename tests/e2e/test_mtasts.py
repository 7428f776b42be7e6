"""Policies of domains, and reports to them, with the real server."""

import email
import email.policy
import gzip
import json
import smtplib
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dkim
import pytest

from mta.model.domain import TlsFailure
from mta.model.tlsreport import Applied, Counted, Failing, PolicyKind

from mta.rules.tls.tally import DAY, day_of

from mta.edge.memory.tls import FOLDER, read_counted, write_counted

from mta.cli import main
from mta.sandbox.characters import SENDER_DOMAIN, Character
from mta.sandbox.dns import Records
from mta.sandbox.exchangers import Manners, Starttls
from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e import letters
from tests.e2e.policy_hosts import PolicyHosts
from tests.edge.authority import Authority

NAMED = ("right", "wrong", "testing", "kept", "gone", "reader")  # each has mx1. in the certificate
CHARACTERS = (
    *(Character(f"{name}.test", "accepts", ()) for name in NAMED),
    Character("unnamed.test", "accepts, and has a certificate for others", ()),
    Character("tried.test", "the same", ()),
    Character("broken.test", "breaks the handshake", (), (Manners(starttls=Starttls.BROKEN),)),
    Character("clear.test", "has no TLS", (), (Manners(starttls=Starttls.ABSENT),)),
)
WEB = "web.test"


def policy(mode: str, *mx: str, max_age: int = 604_800) -> str:
    patterns = "".join(f"mx: {pattern}\r\n" for pattern in mx)
    return f"version: STSv1\r\nmode: {mode}\r\n{patterns}max_age: {max_age}\r\n"


POLICIES = {
    "right.test": policy("enforce", "mx1.right.test"),
    "wrong.test": policy("enforce", "mx1.elsewhere.test"),
    "unnamed.test": policy("enforce", "*.unnamed.test"),
    "testing.test": policy("testing", "mx1.testing.test"),
    "tried.test": policy("testing", "mx1.tried.test"),
    "kept.test": policy("enforce", "mx1.kept.test"),
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def web(authority: Authority) -> Iterator[PolicyHosts]:
    names = [f"mta-sts.{domain}" for domain in (*POLICIES, "gone.test")]
    with PolicyHosts(authority.context(WEB, *names)) as hosts:
        hosts.policies |= POLICIES
        yield hosts


@pytest.fixture(scope="module")
def internet(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, web: PolicyHosts
) -> Iterator[Internet]:
    """Exchangers with a certificate of the authority's, and the policies of some."""
    folder = tmp_path_factory.mktemp("internet")
    _place(authority.certificate(*(f"mx1.{name}.test" for name in NAMED)), folder / "tls")
    with Internet(folder, CHARACTERS) as found:
        zone = found.world.dns.zone
        zone[WEB] = Records(a=("127.0.0.1",))
        for domain in (*POLICIES, "gone.test"):
            zone[f"_mta-sts.{domain}"] = Records(txt=("v=STSv1; id=1;",), ttl=1)
            zone[f"mta-sts.{domain}"] = Records(a=("127.0.0.1",))
        yield found


def _place(combined: Path, folder: Path) -> None:
    """Where the world looks for its certificate before it makes one."""
    certificate, mark, key = combined.read_text().partition("-----BEGIN PRIVATE KEY")
    folder.mkdir()
    (folder / "self-signed.cert.pem").write_text(certificate)
    (folder / "self-signed.key.pem").write_text(mark + key)


@pytest.fixture
def own(
    tmp_path: Path, internet: Internet, authority: Authority, web: PolicyHosts
) -> Iterator[ServerProcess]:
    """A server that trusts the authority, not started yet."""
    settings = internet.world.settings() | {"spool": str(tmp_path / "spool")}
    settings["delivery"] |= {"mode": "direct", "policy_port": web.port, "give_up_after": "1h"}
    with closing(ServerProcess(settings, tmp_path)) as process:
        process.environment["SSL_CERT_FILE"] = str(authority.ca_file)
        yield process


def send(server: ServerProcess, recipient: str) -> str:
    """Hand a message in; gives its id."""
    with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
        client.ehlo("client.test")
        client.mail(letters.SENDER)
        client.rcpt(recipient)
        code, text = client.data(letters.plain(recipient))
    assert code == 250
    return text.decode().split()[3]


def test_where_a_policy_is_enforced_a_host_that_keeps_it_gets_the_mail(own: ServerProcess) -> None:
    own.start()

    id = send(own, "bob@right.test")

    delivered = own.event(event="delivered", id=id)
    assert delivered["host"] == "mx1.right.test"
    assert delivered["tls"]["verified"] is True


@pytest.mark.parametrize(
    ("domain", "why"),
    [
        ("wrong.test", "the MTA-STS policy of wrong.test does not list mx1.wrong.test"),
        ("unnamed.test", ""),
    ],
)
def test_where_a_policy_is_enforced_no_other_host_gets_any(
    own: ServerProcess, internet: Internet, domain: str, why: str
) -> None:
    own.start()

    id = send(own, f"bob@{domain}")

    deferred = own.event(event="deferred", id=id)
    assert deferred["stage"] == "tls"
    assert why in deferred["reply"]["text"]
    assert internet.received_by(domain, f"bob@{domain}") == []


@pytest.mark.parametrize(("domain", "is_verified"), [("testing.test", True), ("tried.test", False)])
def test_a_policy_in_testing_mode_stops_nothing_and_is_counted(
    own: ServerProcess, domain: str, *, is_verified: bool
) -> None:
    own.settings["tls_reports"] = REPORTS
    own.start()

    id = send(own, f"bob@{domain}")

    assert own.event(event="delivered", id=id)["tls"]["verified"] is is_verified
    own.stop()
    (counted,) = read_counted(Path(own.settings["spool"]) / FOLDER)
    assert (counted.applied.domain, counted.applied.kind) == (domain, PolicyKind.STS)
    assert (counted.successes, len(counted.failures)) == ((1, 0) if is_verified else (0, 1))


def test_a_policy_outlives_a_restart_and_its_host(
    own: ServerProcess, internet: Internet, web: PolicyHosts
) -> None:
    own.start()
    own.event(event="delivered", id=send(own, "bob@kept.test"))
    own.stop()
    del web.policies["kept.test"]
    internet.world.dns.zone["_mta-sts.kept.test"] = Records(txt=("v=STSv1; id=2;",), ttl=1)
    internet.world.dns.zone["kept.test"] = Records(mx=((1, "mx1.gone.test"),))
    before = len(web.fetched)
    own.start()

    id = send(own, "bob@kept.test")

    deferred = own.event(event="deferred", id=id)
    assert "policy of kept.test does not list mx1.gone.test" in deferred["reply"]["text"]
    assert "mta-sts.kept.test" in web.fetched[before:]  # the new one was looked for, in vain


def test_a_policy_that_cannot_be_had_stops_nothing(own: ServerProcess, web: PolicyHosts) -> None:
    own.start()

    own.event(event="delivered", id=send(own, "bob@gone.test"))
    own.event(event="delivered", id=send(own, "bob@gone.test"))

    assert web.fetched.count("mta-sts.gone.test") == 1


def test_without_mta_sts_nobody_asks(own: ServerProcess, internet: Internet) -> None:
    own.settings["delivery"]["mta_sts"] = False
    own.start()

    own.event(event="delivered", id=send(own, "without@wrong.test"))

    assert internet.received_by("wrong.test", "without@wrong.test") != []


def test_a_policy_host_on_a_private_network_is_not_connected_to(
    own: ServerProcess, web: PolicyHosts
) -> None:
    own.settings["delivery"]["private_addresses"] = False
    own.start()
    before = len(web.fetched)

    own.event(event="failed", id=send(own, "bob@right.test"))  # nor are the exchangers

    assert len(web.fetched) == before


def test_a_broken_handshake_is_remembered_over_a_restart(own: ServerProcess) -> None:
    own.start()
    own.event(event="delivered", id=send(own, "bob@broken.test"))
    assert own.event(event="tls-broken")["host"] == "mx1.broken.test"
    own.stop()
    own.start()

    own.event(event="delivered", id=send(own, "again@broken.test"))

    assert len(own.events_with(1, event="tls-broken")) == 1


def test_a_domain_that_had_tls_is_held_to_it_until_it_is_let_go(
    own: ServerProcess, internet: Internet
) -> None:
    own.settings["delivery"]["retry"] = ["1s"]
    own.start()
    own.event(event="delivered", id=send(own, "bob@reader.test"))
    own.stop()
    internet.world.dns.zone["reader.test"] = Records(mx=((1, "mx1.clear.test"),), ttl=1)
    own.start()

    id = send(own, "later@reader.test")

    lost = own.event(event="tls-lost")
    assert lost["text"] == "reader.test had TLS, and mx1.clear.test has none that will do"
    assert own.event(event="deferred", id=id)["stage"] == "tls"

    assert main(["tls", "forget", "reader.test", "--config", str(own.config)]) == 0

    assert own.event(event="delivered", id=id).get("tls") is None
    internet.world.dns.zone["reader.test"] = Records(mx=((1, "mx1.reader.test"),), ttl=1)


REPORTS = {
    "organization": "The App",
    "contact": f"postmaster@{SENDER_DOMAIN}",
    "sender": f"tls-reports@{SENDER_DOMAIN}",
}


def counted_of(domain: str) -> Counted:
    """A day that is over for long enough, whatever the time is now."""
    day = day_of(time.time() - 5 * 3600) - 1
    applied = Applied(domain, PolicyKind.STS, ("version: STSv1", "mode: enforce"), ("mx1.x.test",))
    failing = Failing(TlsFailure.CERTIFICATE_EXPIRED, "mx1.x.test", "192.0.2.1", "it has expired")
    return Counted(day, applied, 5, ((failing, 2),))


def check_shape(report: dict[str, Any], domain: str, day: int) -> None:
    """What RFC 8460 §4.4 says that a report has."""
    assert set(report) == {
        "organization-name",
        "date-range",
        "contact-info",
        "report-id",
        "policies",
    }
    assert report["organization-name"] == "The App"
    begins = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(day * DAY))
    assert report["date-range"]["start-datetime"] == begins
    (found,) = report["policies"]
    assert found["policy"] == {
        "policy-type": "sts",
        "policy-string": ["version: STSv1", "mode: enforce"],
        "policy-domain": domain,
        "mx-host": ["mx1.x.test"],
    }
    assert found["summary"] == {
        "total-successful-session-count": 5,
        "total-failure-session-count": 2,
    }
    (failure,) = found["failure-details"]
    assert failure["result-type"] == "certificate-expired"
    assert failure["failed-session-count"] == 2


def test_a_report_arrives_and_is_signed(own: ServerProcess, internet: Internet) -> None:
    counted = counted_of("reported.test")
    own.start()
    own.stop()
    write_counted(Path(own.settings["spool"]) / FOLDER, [counted])
    record = Records(txt=("v=TLSRPTv1; rua=mailto:tls@reader.test",))
    internet.world.dns.zone["_smtp._tls.reported.test"] = record
    own.settings["tls_reports"] = REPORTS

    own.start()

    arrived = internet.mail_to("tls@reader.test")
    assert arrived.sender == REPORTS["sender"]
    assert dkim.verify(arrived.content, dnsfunc=lambda name, timeout=5: text_of(internet, name))
    message = email.message_from_bytes(arrived.content, policy=email.policy.default)
    assert message["TLS-Report-Domain"] == "reported.test"
    _, attached = message.iter_parts()
    check_shape(json.loads(gzip.decompress(attached.get_content())), "reported.test", counted.day)
    own.stop()
    assert read_counted(Path(own.settings["spool"]) / FOLDER) == []  # its own connection is not in


def test_reports_that_no_key_signs_are_warned_of(own: ServerProcess) -> None:
    own.settings["tls_reports"] = REPORTS
    own.start()

    own.settings["tls_reports"] = REPORTS | {"sender": "tls@elsewhere.test"}
    own.reload()

    assert own.says("tls_reports.sender: no key signs for elsewhere.test")
    assert own.says("reloaded")
    assert [line for line in own.log if "no key signs for app.test" in line] == []


def text_of(internet: Internet, name: bytes) -> bytes | None:
    return internet.text_record(name.decode().removesuffix("."))


def test_a_report_is_posted(own: ServerProcess, internet: Internet, web: PolicyHosts) -> None:
    counted = counted_of("posted.test")
    own.start()
    own.stop()
    write_counted(Path(own.settings["spool"]) / FOLDER, [counted])
    rua = f"https://{WEB}:{web.port}/reports"
    internet.world.dns.zone["_smtp._tls.posted.test"] = Records(txt=(f"v=TLSRPTv1; rua={rua}",))
    own.settings["tls_reports"] = REPORTS

    own.start()

    ends_at = time.monotonic() + 20
    while not web.posted and time.monotonic() < ends_at:
        time.sleep(0.05)
    ((path, body),) = web.posted
    assert path == "/reports"
    check_shape(json.loads(gzip.decompress(body)), "posted.test", counted.day)
