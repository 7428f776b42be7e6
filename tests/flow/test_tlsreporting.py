"""Reports on TLS: when they go, to whom, and what happens where they cannot."""

import gzip
import json
from collections.abc import Mapping

import pytest

from mta.model.address import Address
from mta.model.domain import Answer, Finding
from mta.model.policy import Unreached
from mta.model.tlsreport import Applied, PolicyKind

from mta.rules.tls.report import Reporting
from mta.rules.tls.tally import DAY, Tally, day_of

from mta.flow.tls.tlsreporting import EXPIRY, LONGEST_DELAY, RETRY, TlsReporter

from tests.flow.house import START, FakeSigner, House, Peer, story

TODAY = day_of(START)
MIDNIGHT = (TODAY + 1) * DAY
REPORTING = Reporting("Us", "tls@sender.test", Address("tls", "sender.test"))
BY_MAIL = "v=TLSRPTv1; rua=mailto:tls@there.test"
BY_WEB = "v=TLSRPTv1; rua=https://web.test/reports"


class Scene:
    """Yesterday there was mail for there.test, and it is midnight."""

    def __init__(
        self,
        records: Mapping[str, str | None],
        *,
        signer: FakeSigner | None = None,
        chance: float = 0.0,
    ) -> None:
        """`records` has what a domain publishes; None: its servers are silent."""
        self.records = dict(records)
        self.house = House({"there.test": Peer()}, signer=signer or FakeSigner("sender.test"))
        self.tally = Tally()
        self.tally.succeeded(Applied("there.test", PolicyKind.NONE), START)
        self.posted: list[tuple[str, bytes, str]] = []
        self.web_trouble: Unreached | None = None
        self.house.now = MIDNIGHT
        self.reporter = TlsReporter(
            tally=self.tally,
            texts=self,
            web=self,
            intake=self.house.intake,
            clock=self.house.clock,
            chance=lambda: chance,
            to_ascii=str,
        )
        self.reporter.reporting = REPORTING

    async def txt(self, name: str) -> Answer[str]:
        record = self.records.get(name.removeprefix("_smtp._tls."), "")
        if record is None:
            return Answer(Finding.UNKNOWN)
        return Answer(Finding.RECORDS, (record,)) if record else Answer(Finding.NO_NAME)

    async def text(self, host: str, path: str, *, limit: int) -> bytes | Unreached:
        raise NotImplementedError

    async def post(self, url: str, content: bytes, content_type: str) -> Unreached | None:
        self.posted.append((url, content, content_type))
        return self.web_trouble

    async def step(self, after: float = LONGEST_DELAY) -> None:
        self.house.now += after
        await self.reporter.report_due()
        await self.house.step()

    @property
    def mails(self) -> list[bytes]:
        return [letter.content for letter in self.house.letters_to("there.test")]


@story
async def test_a_report_is_mailed_to_who_is_named_and_signed() -> None:
    scene = Scene({"there.test": BY_MAIL})

    await scene.step()
    await scene.step()

    (mail,) = scene.mails
    assert mail.startswith(b"DKIM-Signature: d=sender.test\r\n")
    assert b"TLS-Report-Domain: there.test\r\n" in mail
    (letter,) = scene.house.letters_to("there.test")
    assert list(map(str, letter.recipients)) == ["tls@there.test"]
    assert letter.request.waives_tls
    assert scene.tally.counted == []


@story
async def test_a_report_is_posted_to_the_web() -> None:
    scene = Scene({"there.test": BY_WEB})

    await scene.step()

    ((url, content, kind),) = scene.posted
    assert (url, kind) == ("https://web.test/reports", "application/tlsrpt+gzip")
    report = json.loads(gzip.decompress(content))
    assert report["policies"][0]["summary"]["total-successful-session-count"] == 1
    assert scene.mails == []
    assert scene.tally.counted == []


@story
async def test_who_names_nobody_gets_nothing() -> None:
    scene = Scene({})

    await scene.step()

    assert (scene.mails, scene.posted, scene.tally.counted) == ([], [], [])


@story
async def test_reports_go_some_time_after_midnight() -> None:
    scene = Scene({"there.test": BY_MAIL}, chance=0.5)

    await scene.step(-1)  # before midnight
    await scene.step(LONGEST_DELAY / 2)
    assert scene.mails == []

    await scene.step(31)
    assert len(scene.mails) == 1


@story
async def test_where_the_web_fails_it_is_tried_again_for_a_day() -> None:
    scene = Scene({"there.test": BY_WEB})
    scene.web_trouble = Unreached("no answer")

    await scene.step()
    await scene.step(RETRY - 1)
    assert len(scene.posted) == 1
    await scene.step(1)
    assert len(scene.posted) == 2

    await scene.step(EXPIRY)
    assert len(scene.posted) == 2
    assert scene.tally.counted == []


@story
async def test_where_the_dns_is_silent_it_is_asked_again() -> None:
    scene = Scene({"there.test": None})

    await scene.step()
    scene.records["there.test"] = BY_MAIL
    await scene.step(RETRY)

    assert len(scene.mails) == 1


@story
async def test_one_receiver_that_has_it_is_enough() -> None:
    scene = Scene({"there.test": f"{BY_WEB},mailto:tls@there.test"})
    scene.web_trouble = Unreached("no answer")

    await scene.step()
    await scene.step(RETRY)

    assert (len(scene.posted), len(scene.mails)) == (1, 1)


def test_what_no_key_signs_is_not_mailed(caplog: pytest.LogCaptureFixture) -> None:
    @story
    async def told() -> None:
        scene = Scene({"there.test": BY_MAIL}, signer=FakeSigner())
        await scene.step()
        assert scene.mails == []

    told()

    assert "no key signs for sender.test" in caplog.text


@story
async def test_who_does_not_report_forgets() -> None:
    scene = Scene({"there.test": BY_MAIL})
    scene.reporter.reporting = None

    await scene.step()

    assert (scene.mails, scene.tally.counted) == ([], [])


@story
async def test_a_report_that_cannot_be_delivered_is_dropped_after_a_day() -> None:
    scene = Scene({"there.test": BY_MAIL})
    scene.house.peers["there.test"].is_reachable = False

    await scene.step()
    for _ in range(30):
        await scene.house.advance(3600)

    assert scene.house.queued() == []
    assert [event for event in scene.house.events if event.kind == "reported"] == []
