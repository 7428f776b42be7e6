"""Keys and the DNS, looked after: real keys and files, the DNS in memory."""

import asyncio
import logging
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mta.model.domain import Answer, Finding
from mta.model.zone import ZoneAnswer

from mta.rules.message.keyterm import KeyState

from mta.flow.keyrecords import KeyRecords

from mta.cli import main
from mta.config import load_settings
from mta.wiring.keyring import HeldKey, Keyring
from mta.wiring.keywatch import KeyWatch

SERVERS = ("ns1.test", "ns2.test")
HOUR, DAY = 3600.0, 86_400.0


@dataclass
class Dns:
    """What each server has, by its name; a resolver says what the first has."""

    shown: dict[str, dict[str, str]] = field(default_factory=lambda: {s: {} for s in SERVERS})
    is_up: bool = True

    async def texts(self, address: str, name: str) -> ZoneAnswer:
        return self._found(self.shown[address].get(name))

    async def txt(self, name: str) -> Answer[str]:
        return self._found(self.shown[SERVERS[0]].get(name))

    async def ns(self, zone: str) -> Answer[str]:
        return Answer(Finding.RECORDS, SERVERS)

    async def addresses(self, name: str) -> Answer[str]:
        return Answer(Finding.RECORDS, (name,))

    def _found(self, value: str | None) -> Answer[str]:
        if not self.is_up:
            return Answer(Finding.UNKNOWN, text="timed out")
        return Answer(Finding.NO_NAME) if value is None else Answer(Finding.RECORDS, (value,))


class Scene:
    """A server's keys, its watch, its clock and the DNS."""

    def __init__(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.config = folder / "config.yaml"
        self.config.write_text("{}")
        self.dns = Dns()
        self.later = 0.0
        self._caplog = caplog
        self.rotate()
        self.start()

    def start(self, *, is_first: bool = True) -> None:
        self.keyring = Keyring(load_settings(self.config, {}))
        records = KeyRecords(names=self.dns, authority=self.dns)
        self.watch = KeyWatch(self.keyring, records, is_first=is_first, clock=self.now)

    def now(self) -> float:
        return time.time() + self.later

    def rotate(self, *options: str) -> int:
        words = ["dkim", "rotate", "example.com", "--wait", "0", *options]
        return main([*words, "--config", str(self.config)])

    def held(self, selector: str) -> HeldKey:
        keys = Keyring(load_settings(self.config, {})).keys
        return next(held for held in keys if held.term.selector == selector)

    def publish(self, selector: str, *servers: str) -> None:
        record = self.held(selector).record
        for server in servers or SERVERS:
            self.dns.shown[server][record.name] = record.value

    def step(self, later: float = 301.0) -> list[str]:
        """The watch's next step, so many seconds later; gives what it says."""
        self.later += later
        self._caplog.clear()
        asyncio.run(self.watch.step())
        return [record.getMessage() for record in self._caplog.records]

    def states(self) -> dict[str, KeyState]:
        return {held.term.selector: held.term.state_at(self.now()) for held in self.keyring.keys}


@pytest.fixture
def scene(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Scene:
    caplog.set_level(logging.INFO)
    return Scene(tmp_path, caplog)


@pytest.fixture
def signing(scene: Scene) -> Scene:
    """The first key is in the DNS, and signs."""
    scene.publish("s1")
    scene.step()
    return scene


def test_the_first_key_signs_when_the_dns_shows_it(scene: Scene) -> None:
    before = scene.states()
    scene.publish("s1")

    (said,) = scene.step()

    assert before == {"s1": KeyState.WAITING}
    assert scene.states() == {"s1": KeyState.SIGNING}
    assert said == "dkim: example.com: signs with s1 from now on"


def test_no_key_signs_while_one_server_lags_behind(signing: Scene) -> None:
    signing.rotate()
    signing.publish("s2", "ns1.test")

    said = signing.step()

    assert signing.states() == {"s1": KeyState.SIGNING, "s2": KeyState.WAITING}
    assert said == [
        "dkim: s2._domainkey.example.com is awaited: ns2.test: expected our record, found none"
    ]
    assert signing.step() == []


def test_the_next_key_takes_the_place_of_the_one_before(signing: Scene) -> None:
    signing.rotate()
    signing.publish("s2")

    (said,) = signing.step()

    assert signing.states() == {"s1": KeyState.RETIRING, "s2": KeyState.SIGNING}
    assert "signs with s2 from now on, no more with s1; leave the DNS as it is for 7 days" in said


def test_the_old_record_may_go_after_the_overlap_and_that_is_said_daily(signing: Scene) -> None:
    signing.rotate("--overlap", "10d")
    signing.publish("s2")
    signing.step()

    assert signing.step(10 * DAY - HOUR) == []
    (said,) = signing.step(2 * HOUR)
    assert said.startswith("dkim: s1._domainkey.example.com may be taken out of the DNS")
    assert signing.step(2 * HOUR) == []
    assert len(signing.step(DAY)) == 1


def test_a_rotation_that_began_before_a_restart_goes_on(signing: Scene) -> None:
    signing.rotate()
    signing.start()
    signing.publish("s2")

    signing.step()

    assert signing.states()["s2"] is KeyState.SIGNING


def test_other_processes_follow_and_ask_the_dns_nothing(signing: Scene) -> None:
    signing.rotate()
    signing.publish("s2")
    signing.start(is_first=False)

    signing.step()
    assert signing.states()["s2"] is KeyState.WAITING

    signing.rotate("--now")
    signing.step()
    assert signing.states() == {"s1": KeyState.RETIRING, "s2": KeyState.SIGNING}


def test_a_record_that_is_gone_is_warned_of_within_the_hour_and_once_a_day(signing: Scene) -> None:
    assert signing.step(HOUR) == []
    for zone in signing.dns.shown.values():
        zone.clear()

    said = [signing.step(HOUR) for _ in range(26)]

    warning = (
        "dkim: s1._domainkey.example.com: expected our record, found none; "
        "`mta dkim show example.com` has what to publish"
    )
    assert [hour for hour, texts in enumerate(said) if texts == [warning]] == [0, 24]


def test_the_record_of_another_key_is_warned_of(signing: Scene) -> None:
    for zone in signing.dns.shown.values():
        zone["s1._domainkey.example.com"] = "v=DKIM1; k=rsa; p=MIIBother"

    (said,) = signing.step(HOUR)

    assert "expected our key ..." in said
    assert "found MIIBother" in said


def test_the_old_record_taken_out_too_soon_is_warned_of(signing: Scene) -> None:
    signing.rotate()
    signing.publish("s2")
    signing.step()
    for zone in signing.dns.shown.values():
        del zone["s1._domainkey.example.com"]

    (said,) = signing.step(HOUR)

    assert "s1._domainkey.example.com: expected our record, found none" in said


def test_a_dns_that_does_not_answer_stops_nothing(signing: Scene) -> None:
    signing.rotate()
    signing.dns.is_up = False

    said = signing.step(HOUR)

    assert all("timed out" in text for text in said)
    assert signing.states()["s1"] is KeyState.SIGNING


def test_a_domain_that_nobody_signs_for_is_told(scene: Scene) -> None:
    said = scene.step()

    assert (
        "dkim: example.com: no key signs its mail now; `mta dkim rotate example.com` makes one"
    ) in said


def test_an_index_that_breaks_changes_nothing(signing: Scene) -> None:
    signing.keyring.index.path.write_text("keys: soon")

    (said,) = signing.step()

    assert said.startswith("the keys that sign stay as they were: ")
    assert signing.states() == {"s1": KeyState.SIGNING}
    assert signing.step() == []


def test_an_index_that_cannot_be_written_is_said(signing: Scene) -> None:
    signing.rotate()
    signing.publish("s2")
    folder = signing.keyring.index.folder
    (folder / f".keys.yaml.{os.getpid()}.new").mkdir()  # in the way of a draft

    said = signing.step()

    assert any("cannot be written" in text for text in said)
    assert signing.states()["s2"] is KeyState.WAITING
