"""The daily report on TLS: who is to have it, and what it says (RFC 8460)."""

import email
import email.policy
import gzip
import json

import pytest

from mta.model.address import Address
from mta.model.domain import TlsFailure
from mta.model.envelope import MessageId
from mta.model.request import Late
from mta.model.tlsreport import Applied, Counted, Failing, PolicyKind

from mta.rules.tls.report import (
    Occasion,
    Receivers,
    Reporting,
    mail_for,
    packed,
    receivers_in,
    report_for,
    report_id,
)

DAY = 17_000  # 2016-07-18
REPORTING = Reporting("Company-X", "tls@here.test", Address("tls", "here.test"))
ANN = Address("ann", "there.test")


@pytest.mark.parametrize(
    ("texts", "receivers"),
    [
        (["v=TLSRPTv1; rua=mailto:ann@there.test"], Receivers((ANN,))),
        (["v=TLSRPTv1;rua=mailto:ann@there.test;"], Receivers((ANN,))),
        (["v=TLSRPTv1; x=y; rua=MAILTO:ann@there.test?subject=x"], Receivers((ANN,))),
        (["v=TLSRPTv1; rua=mailto:ann%40there.test"], Receivers((ANN,))),
        (
            ["v=TLSRPTv1; rua=mailto:ann@there.test , https://web.test/v1?a=b"],
            Receivers((ANN,), ("https://web.test/v1?a=b",)),
        ),
        (["v=spf1 -all", "v=TLSRPTv1; rua=mailto:ann@there.test"], Receivers((ANN,))),
        (["v=TLSRPTv1; rua=mailto:ann@there.test"] * 2, Receivers()),
        (["v=TLSRPTv1; rua=mailto:ann@there.test; rua=mailto:bob@there.test"], Receivers((ANN,))),
        (["v=TLSRPTv1"], Receivers()),
        (["v=TLSRPTv2; rua=mailto:ann@there.test"], Receivers()),
        (["v=TLSRPTv1; rua="], Receivers()),
        (["v=TLSRPTv1; rua=mailto:"], Receivers()),
        (["v=TLSRPTv1; rua=mailto:ann@there.test%0d%0aBcc:x@y.test"], Receivers()),
        ([], Receivers()),
    ],
)
def test_one_right_record_names_the_receivers(texts: list[str], receivers: Receivers) -> None:
    assert receivers_in(texts) == receivers


@pytest.mark.parametrize(
    "uri",
    [
        "http://web.test/",
        "https://192.0.2.1/",
        "https://[::1]/",
        "https://2130706433/",
        "https://127.1/",
        "https://0x7f.1/",
        "https://localhost/",
        "https://user:secret@web.test/",
        "https://web.test:25/",
        "https://web.test:99999/",
        "https://web.test/a b",
        "https://web.test/\x00",
        "https:///path",
        "ftp://web.test/",
        "file:///etc/passwd",
    ],
)
def test_reports_are_posted_to_hosts_with_names_alone(uri: str) -> None:
    assert receivers_in([f"v=TLSRPTv1; rua={uri}"]) == Receivers()


def test_of_many_receivers_the_first_count() -> None:
    rua = ",".join(f"mailto:r{number}@there.test" for number in range(100))

    receivers = receivers_in([f"v=TLSRPTv1; rua={rua}"])

    assert list(map(str, receivers.mailboxes)) == ["r0@there.test", "r1@there.test"]


STS = Applied("there.test", PolicyKind.STS, ("version: STSv1", "mode: testing"), ("*.there.test",))
EXPIRED = Failing(TlsFailure.CERTIFICATE_EXPIRED, "mx.there.test", "192.0.2.1", "it has expired")
FETCH = Failing(TlsFailure.STS_POLICY_FETCH_ERROR)


def test_a_report_says_what_was_counted() -> None:
    counted = [
        Counted(DAY, STS, 5326, ((EXPIRED, 300), (FETCH, 3))),
        Counted(DAY, Applied("there.test", PolicyKind.NONE), 2),
    ]

    report = json.loads(report_for(REPORTING, "t1", "there.test", DAY, counted))

    assert report == {
        "organization-name": "Company-X",
        "date-range": {
            "start-datetime": "2016-07-18T00:00:00Z",
            "end-datetime": "2016-07-18T23:59:59Z",
        },
        "contact-info": "tls@here.test",
        "report-id": "2016-07-18.there.test.t1",
        "policies": [
            {
                "policy": {
                    "policy-type": "sts",
                    "policy-string": ["version: STSv1", "mode: testing"],
                    "policy-domain": "there.test",
                    "mx-host": ["*.there.test"],
                },
                "summary": {
                    "total-successful-session-count": 5326,
                    "total-failure-session-count": 303,
                },
                "failure-details": [
                    {
                        "result-type": "certificate-expired",
                        "receiving-mx-hostname": "mx.there.test",
                        "receiving-ip": "192.0.2.1",
                        "failure-reason-code": "it has expired",
                        "failed-session-count": 300,
                    },
                    {"result-type": "sts-policy-fetch-error", "failed-session-count": 3},
                ],
            },
            {
                "policy": {"policy-type": "no-policy-found", "policy-domain": "there.test"},
                "summary": {
                    "total-successful-session-count": 2,
                    "total-failure-session-count": 0,
                },
            },
        ],
    }


OCCASION = Occasion(MessageId("t17000x1"), "there.test", DAY, "mail.here.test", (DAY + 1) * 86_400)


def test_a_report_goes_by_mail_as_the_rfc_says() -> None:
    report = packed(b'{"policies": []}')

    submission = mail_for(OCCASION, REPORTING, (ANN, Address("bob", "there.test")), report)

    message = email.message_from_bytes(submission.content, policy=email.policy.default)
    assert not message.defects
    assert message["TLS-Report-Domain"] == "there.test"
    assert message["TLS-Report-Submitter"] == "mail.here.test"
    assert message["From"] == "tls@here.test"
    assert message["To"] == "ann@there.test, bob@there.test"
    assert message["Subject"] == (
        "Report Domain: there.test Submitter: mail.here.test Report-ID: <t17000x1@mail.here.test>"
    )
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "tlsrpt"
    words, attached = message.iter_parts()
    assert words.get_content_type() == "text/plain"
    assert attached.get_content_type() == "application/tlsrpt+gzip"
    assert attached.get_filename() == (
        "mail.here.test!there.test!1468800000!1468886399!t17000x1.json.gz"
    )
    assert gzip.decompress(attached.get_content()) == b'{"policies": []}'


def test_a_report_goes_for_a_day_whatever_its_tls_and_nobody_is_told() -> None:
    submission = mail_for(OCCASION, REPORTING, (ANN,), b"")

    assert submission.request.waives_tls
    assert submission.request.deadline is not None
    assert submission.request.deadline.at == OCCASION.now + 86_400
    assert submission.request.deadline.if_late is Late.DROP
    assert [sorted(asked.notices or ()) for asked in submission.requests] == [["NEVER"]]


def test_a_message_keeps_within_its_lines() -> None:
    long = ".".join(["x" * 63] * 3 + ["y" * 58, "t"])
    occasion = Occasion(MessageId("t1"), long, DAY, long, 0.0)

    content = mail_for(occasion, REPORTING, (ANN,), b"x" * 10_000).content

    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert b"\n" not in content.replace(b"\r\n", b"")


def test_the_same_report_has_the_same_id() -> None:
    assert report_id(DAY, "there.test") == report_id(DAY, "there.test")
    assert report_id(DAY, "there.test") != report_id(DAY, "there.test", "2")
    assert report_id(DAY, "there.test").isalnum()
    assert packed(b"a report") == packed(b"a report")
