"""`mta doctor`, in the sandbox's Internet."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mta.cli import main
from mta.sandbox.characters import CHARACTERS, SENDER_DOMAIN, Character
from mta.sandbox.dns import Behaviour, Records
from mta.sandbox.exchangers import Manners
from mta.sandbox.internet import Internet
from mta.sandbox.world import SELECTOR

HAUGHTY = Character("haughty.test", "refuses all", (), (Manners(greeting="554 5.7.1 Not you"),))
REVERSE = "9.9.9.9.in-addr.arpa"


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    with Internet(tmp_path_factory.mktemp("internet"), (*CHARACTERS, HAUGHTY)) as world:
        yield world


class Doctor:
    """`mta doctor` with settings that a test may change."""

    def __init__(
        self, settings: dict[str, Any], path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.settings = settings
        self._path = path
        self._capsys = capsys

    def says(self, *arguments: str) -> tuple[int, str]:
        self._path.write_text(yaml.safe_dump(self.settings))
        status = main(["doctor", "--config", str(self._path), *arguments])
        return status, self._capsys.readouterr().out

    def finds(self, subject: str, domain: str = "accept.test") -> tuple[str, str]:
        """The grade and the text of what it finds about something."""
        status, out = self.says(domain, "--json")
        found = json.loads(out)
        grades = {one["grade"] for one in found["findings"]}
        assert found["healthy"] is ("error" not in grades)
        assert status == (0 if found["healthy"] else 1)
        return next(
            (one["grade"], one["text"])
            for one in found["findings"]
            if one["subject"].startswith(subject)
        )


@pytest.fixture
def doctor(internet: Internet, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    settings = internet.world.settings() | {"spool": str(tmp_path / "spool")}
    settings["delivery"] |= {"mode": "direct"}
    return Doctor(settings, tmp_path / "config.yaml", capsys)


def test_a_server_in_good_health_needs_nothing(doctor: Doctor) -> None:
    status, out = doctor.says("accept.test")

    assert status == 0
    assert "ok      DNS: it answers, and does not validate: there is no DANE\n" in out
    assert "a host of accept.test greets us, over TLSv1.3\n" in out
    assert f"ok      DKIM {SELECTOR}._domainkey.{SENDER_DOMAIN}: receivers find our key\n" in out
    assert f"ok      DMARC of {SENDER_DOMAIN}: p=reject\n" in out


@pytest.mark.parametrize(
    ("domain", "grade", "words"),
    [
        ("clear.test", "ok", "greets us, in clear"),
        ("second.test", "ok", "greets us, over TLSv1.3"),
        ("brokentls.test", "warning", "TLS handshake failed"),
        ("dead.test", "error", "Connection refused"),
        ("haughty.test", "error", "Not you"),
        ("null.test", "warning", "accepts no mail"),
        ("nowhere.test", "warning", "does not exist"),
    ],
)
def test_the_hosts_of_a_domain_are_tried(
    doctor: Doctor, domain: str, grade: str, words: str
) -> None:
    found = doctor.finds("port", domain)

    assert found[0] == grade
    assert words in found[1]


def test_no_mail_is_sent(doctor: Doctor, internet: Internet) -> None:
    doctor.says("accept.test")

    assert internet.received("accept.test") == []


def test_a_smarthost_is_tried_with_its_login(doctor: Doctor) -> None:
    doctor.settings["delivery"]["mode"] = "smarthost"
    assert doctor.finds("port")[0] == "ok"

    doctor.settings["delivery"]["smarthost"]["password"] = "wrong"
    assert doctor.finds("port")[0] == "error"


def test_a_resolver_that_is_silent_is_told(doctor: Doctor) -> None:
    doctor.settings["dns"] = {"nameservers": ["127.0.0.1:1"], "timeout": "500ms"}

    assert doctor.finds("DNS")[0] == "error"


@pytest.mark.parametrize(
    ("zone", "grade"),
    [
        ({}, "error"),
        ({REVERSE: Records(ptr=("us.test",))}, "error"),
        ({REVERSE: Records(behaviour=Behaviour.SERVFAIL)}, "warning"),
        ({REVERSE: Records(ptr=("us.test",)), "us.test": Records(a=("9.9.9.9",))}, "ok"),
    ],
)
def test_the_reverse_names_of_our_addresses_are_looked_at(
    doctor: Doctor, internet: Internet, zone: dict[str, Records], grade: str
) -> None:
    doctor.settings["delivery"]["sources"] = [{"address": "9.9.9.9", "hostname": "us.test"}]
    before = dict(internet.world.dns.zone)
    internet.world.dns.zone |= zone
    try:
        assert doctor.finds("IPv4")[0] == grade
        assert doctor.finds("delivery.sources") == ("error", "this machine does not have 9.9.9.9")
        assert doctor.finds("SPF") == ("error", "does not let 9.9.9.9 send (fail)")
    finally:
        internet.world.dns.zone = before


def test_a_key_that_is_not_in_the_dns_is_told(doctor: Doctor, internet: Internet) -> None:
    name = f"{SELECTOR}._domainkey.{SENDER_DOMAIN}"
    record = internet.world.dns.zone.pop(name)
    try:
        assert doctor.finds("DKIM")[0] == "error"
    finally:
        internet.world.dns.zone[name] = record


def test_a_domain_without_a_key_is_told(doctor: Doctor) -> None:
    doctor.settings["senders"] = ["example.com"]

    assert doctor.finds("DKIM of example.com") == ("error", "there is no key")
    assert doctor.finds("DMARC of example.com")[0] == "error"


def test_what_a_stranger_says_moves_no_terminal(doctor: Doctor, internet: Internet) -> None:
    internet.world.dns.zone[f"_dmarc.{SENDER_DOMAIN}"], before = (
        Records(txt=("v=DMARC1; p=\x1b[2J",)),
        internet.world.dns.zone[f"_dmarc.{SENDER_DOMAIN}"],
    )
    try:
        _, out = doctor.says("accept.test")
    finally:
        internet.world.dns.zone[f"_dmarc.{SENDER_DOMAIN}"] = before

    assert "\x1b" not in out


def test_what_is_no_domain_is_told(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        doctor.says("no domain")

    assert ended.value.code == 2
    assert 'expected a domain such as example.com, got "no domain"' in capsys.readouterr().err
