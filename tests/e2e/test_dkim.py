"""Keys change while mail flows: a zone with two servers, of which one lags behind."""

import smtplib
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import dkim
import pytest

from mta.sandbox.characters import SENDER_DOMAIN
from mta.sandbox.dns import DnsServer, Records
from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e.watching import wait_until

LATE = "127.0.0.2"


class Zone:
    """The sender's zone, at the sandbox's own server and at another that lags behind."""

    def __init__(self, internet: Internet) -> None:
        self.first = internet.world.dns
        self.second = DnsServer({}, host=LATE, port=self.first.address[1])
        zone = self.first.zone
        zone[SENDER_DOMAIN] = replace(zone[SENDER_DOMAIN], ns=("ns1.test", "ns2.test"))
        zone["ns1.test"] = Records(a=("127.0.0.1",))
        zone["ns2.test"] = Records(a=(LATE,))

    def publish(self, made: dict[str, str], server: DnsServer) -> None:
        server.zone[made["name"]] = Records(txt=(made["value"],))


@pytest.fixture
def zone(internet: Internet) -> Iterator[Zone]:
    both = Zone(internet)
    internet._do(both.second.__aenter__(), 20)
    yield both
    internet._do(both.second.__aexit__(None, None, None), 20)


@pytest.fixture
def rotating(own: ServerProcess, zone: Zone) -> ServerProcess:
    own.settings["dns"]["authority_port"] = zone.first.address[1]
    own.start()
    return own


class Traffic:
    """Mail that flows, one message after the other, while this is entered."""

    def __init__(self, server: ServerProcess, internet: Internet) -> None:
        self.count = 0
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._flow)

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _flow(self) -> None:
        with smtplib.SMTP("127.0.0.1", self._server.port, timeout=30) as client:
            while not self._stop.wait(0.05):
                content = f"From: app@{SENDER_DOMAIN}\r\nSubject: {self.count}\r\n\r\nHi\r\n"
                client.sendmail(f"app@{SENDER_DOMAIN}", ["rotation@accept.test"], content)
                self.count += 1


@contextmanager
def rotate(server: ServerProcess, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """The command, whose output is read while it runs."""
    words = ["dkim", "rotate", SENDER_DOMAIN, *options, "--config", str(server.config)]
    command = [sys.executable, "-m", "mta", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def record_in(lines: Iterable[str]) -> dict[str, str]:
    """The record that the command prints."""
    found = {}
    for line in lines:
        key, _, value = line.strip().partition(": ")
        if key in ("name", "value"):
            found[key] = value.strip()
        if len(found) == 2:
            break
    return found


def selector_of(content: bytes) -> str:
    return content.partition(b"s=")[2].partition(b";")[0].decode()


def test_mail_verifies_throughout_a_rotation_that_the_server_ends(
    rotating: ServerProcess, internet: Internet, zone: Zone
) -> None:
    with Traffic(rotating, internet) as traffic:
        with rotate(rotating, "--wait", "0") as command:
            said, _ = command.communicate(timeout=20)
        made = record_in(said.splitlines())
        zone.publish(made, zone.first)
        rotating.says(r"is awaited: ns2\.test: expected our record, found none", 30)
        before = traffic.count
        zone.publish(made, zone.second)
        rotating.says(r"signs with sandbox-2 from now on, no more with sandbox", 30)
        switched = traffic.count
        while traffic.count < switched + 10:
            internet.mail("accept.test", len(internet.received("accept.test")) + 1)

    def from_dns(name: bytes, timeout: float = 5) -> bytes | None:
        return internet.text_record(name.decode())

    arrived = [
        mail.content
        for mail in internet.mail("accept.test", traffic.count)
        if "rotation@accept.test" in mail.recipients
    ]
    by_number = {int(one.partition(b"Subject: ")[2].split()[0]): one for one in arrived}
    assert sorted(by_number) == list(range(traffic.count))
    assert all(dkim.verify(one, dnsfunc=from_dns) for one in arrived)
    signers = [selector_of(by_number[number]) for number in range(traffic.count)]
    assert set(signers[:before]) == {"sandbox"}
    assert set(signers[switched + 1 :]) == {"sandbox-2"}  # one may have been under way
    assert signers == sorted(signers)  # one change, and none back


def test_the_command_waits_and_switches_without_a_server(
    own: ServerProcess, internet: Internet, zone: Zone, tmp_path: Path
) -> None:
    own.settings["dns"]["authority_port"] = zone.first.address[1]
    own.write_settings()
    with rotate(own) as command:
        assert command.stdout is not None
        lines = iter(command.stdout)
        made = record_in(lines)
        assert any("ns2.test: expected our record" in line for line in lines)

        zone.publish(made, zone.first)
        zone.publish(made, zone.second)

        rest, _ = command.communicate(timeout=40)
        assert command.returncode == 0
    assert "signs with sandbox-2 from now on" in rest
    assert "signs_from" in (tmp_path / "keys" / "keys.yaml").read_text()


def test_a_record_that_is_not_ours_is_said_at_the_start_and_by_check(
    own: ServerProcess, internet: Internet
) -> None:
    name = f"sandbox._domainkey.{SENDER_DOMAIN}"
    zone = internet.world.dns.zone
    right = zone[name]
    zone[name] = Records(txt=("v=DKIM1; k=rsa; p=MIIBother",))
    try:
        own.start()

        assert "found MIIBother" in own.says(rf"WARNING.*dkim: {name}: expected our key")
        words = ["check", "--config", str(own.config)]
        checked = subprocess.run(
            [sys.executable, "-m", "mta", *words], capture_output=True, text=True, check=True
        )
    finally:
        zone[name] = right
    assert f"warning: {name}: expected our key" in checked.stderr


def test_all_of_several_processes_sign_with_the_next_key(
    own: ServerProcess, internet: Internet
) -> None:
    own.settings["processes"] = 2
    own.start()

    def selectors_of_eight() -> set[str]:
        before = len(internet.received("accept.test"))
        for _ in range(8):  # the kernel deals connections out to both
            with smtplib.SMTP("127.0.0.1", own.port, timeout=30) as client:
                content = f"From: app@{SENDER_DOMAIN}\r\nSubject: x\r\n\r\nHi\r\n"
                client.sendmail(f"app@{SENDER_DOMAIN}", ["all@accept.test"], content)
        arrived = internet.mail("accept.test", before + 8)[before:]
        return {selector_of(mail.content) for mail in arrived}

    assert selectors_of_eight() == {"sandbox"}
    with rotate(own, "--now", "--selector", "both") as command:
        command.communicate(timeout=20)

    wait_until(lambda: selectors_of_eight() == {"both"})
