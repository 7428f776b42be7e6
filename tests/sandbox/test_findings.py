"""What the demonstration takes for right and for wrong."""

from dataclasses import replace

import pytest

from mta.model.address import Address
from mta.model.domain import Host
from mta.model.envelope import Envelope, MessageId, Recipient, Road, State
from mta.model.outcome import Reply, Stage, judge

from mta.rules.dsn import Action, Occasion, report_for

from mta.sandbox.characters import Expected, Fate
from mta.sandbox.exchangers import Received
from mta.sandbox.findings import (
    Finding,
    finding,
    mistakes_in_reports,
    reported,
    words_for_people,
)

DELIVERED = Expected("anna@there.test", Fate.DELIVERED, "2.", attempts=1)
FAILED = Expected("nobody@there.test", Fate.FAILED, "5.1.1", tls=False)
GOOD = Finding("anna@there.test", "delivered", "2.0.0", 1, "direct", "TLSv1.3", "pass", 0.1)
REFUSAL = judge(
    Reply(550, "No such mailbox", 1, 1), Stage.RECIPIENT, Host("mx.there.test", "127.0.0.2", 25)
)


def report() -> bytes:
    nobody = Recipient(Address("nobody", "there.test"), State.FAILED, attempts=1, last=REFUSAL)
    envelope = Envelope(MessageId("abc"), Address("app", "app.test"), (nobody,), 0.0, 100)
    header = b"Subject: hello\r\n"
    occasion = Occasion(envelope, Action.FAILED, [0], "mail.app.test", 1.0, 2.0)
    return report_for(occasion, header).content


def no_record(name: str) -> bytes | None:
    return None


def test_what_became_of_mail_as_it_should_is_no_mistake() -> None:
    assert list(GOOD.mistakes(DELIVERED)) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (replace(GOOD, fate="failed"), "expected it delivered, found it failed"),
        (replace(GOOD, status="4.0.0"), "expected status 2., found 4.0.0"),
        (replace(GOOD, attempts=2), "expected 1 attempts, found 2"),
        (replace(GOOD, road="smarthost"), "expected it by the direct road"),
        (replace(GOOD, tls=""), "expected TLS, found none"),
        (replace(GOOD, dkim="fail"), "expected its DKIM signature to pass, found fail"),
    ],
)
def test_what_became_of_mail_otherwise_is_said(found: Finding, words: str) -> None:
    (mistake,) = found.mistakes(DELIVERED)

    assert mistake.startswith(words)


def test_a_finding_joins_the_server_s_word_and_the_receiver_s() -> None:
    events = [
        {"event": "deferred", "recipient": "anna@there.test", "attempts": 1},
        {
            "event": "delivered",
            "recipient": "anna@there.test",
            "attempts": 2,
            "road": str(Road.DIRECT),
            "reply": {"code": 250, "status": "2.0.0", "text": "ok"},
            "seconds": 1.5,
        },
    ]
    arrived = Received("app@app.test", ("anna@there.test",), b"", "mta.test", "TLSv1.3", None, 0.0)

    found = finding("anna@there.test", events, [arrived], no_record)

    assert found == Finding(
        "anna@there.test", "delivered", "2.0.0", 2, "direct", "TLSv1.3", "fail", 1.5
    )


def test_a_report_names_its_recipients_and_their_status() -> None:
    assert reported(report()) == {"nobody@there.test": "5.1.1"}


def test_a_report_has_words_for_people() -> None:
    assert "No such mailbox" in words_for_people(report())


def test_a_failure_without_a_report_and_a_report_without_a_failure_are_mistakes() -> None:
    missing = list(mistakes_in_reports([], [FAILED], no_record))
    needless = list(mistakes_in_reports([report()], [], no_record))

    assert missing == ["nobody@there.test: expected a report, found none"]
    assert needless[-1] == "nobody@there.test: reported as failed, and did not fail"


def test_an_unsigned_report_is_a_mistake() -> None:
    mistakes = list(mistakes_in_reports([report()], [FAILED], no_record))

    assert mistakes == ["the report about nobody@there.test has no valid DKIM signature"]
