"""What is found when delivery is examined."""

from collections.abc import Sequence

import pytest

from mta.model.diagnosis import Diagnosis, Grade
from mta.model.domain import Answer, Finding, Host, Tlsa, TlsFacts
from mta.model.outcome import Outcome, Reply, Stage, broken, judge, unresolved

from mta.rules.delivery.checkup import (
    MIB,
    diagnosis,
    is_healthy,
    of_absence,
    of_clock,
    of_disk,
    of_dkim,
    of_dmarc,
    of_hostname,
    of_papers,
    of_policies,
    of_resolver,
    of_road,
    of_spf,
    of_unsigned,
)
from mta.rules.delivery.families import Ipv6, Papers, Standing
from mta.rules.message.spf import SpfResult

OK, WARNING, ERROR = Grade
HOST = Host("mx.there.test", "9.9.9.9", 25)
SILENCE: Answer[str] = Answer(Finding.UNKNOWN, text="no answer within 10 s")
NAME = "mail.us.test"


def test_what_strangers_say_is_bounded_and_escaped() -> None:
    found = diagnosis("x", OK, "\x1b[2J" + "a" * 1000)

    assert found.text.startswith("\\x1b[2Ja")
    assert len(found.text) == 300


@pytest.mark.parametrize(
    ("answer", "grade"),
    [
        (Answer(Finding.RECORDS, ("198.41.0.4",)), OK),
        (Answer(Finding.NO_NAME), OK),  # it answers, whatever it says
        (SILENCE, ERROR),
    ],
)
def test_a_resolver_has_to_answer(answer: Answer[str], grade: Grade) -> None:
    assert of_resolver(answer, is_validating=False).grade is grade


def test_a_resolver_that_validates_is_told() -> None:
    answer = Answer(Finding.RECORDS, ("198.41.0.4",))

    assert of_resolver(answer, is_validating=True).text == "it answers, and validates"
    assert "no DANE" in of_resolver(answer, is_validating=False).text


@pytest.mark.parametrize(
    ("hostname", "answer", "grade"),
    [
        (NAME, Answer(Finding.RECORDS, ("9.9.9.9",)), OK),
        (NAME, Answer(Finding.NO_NAME), WARNING),
        (NAME, SILENCE, WARNING),
        ("localhost", Answer(Finding.NO_NAME), ERROR),
    ],
)
def test_our_name_should_lead_to_us(hostname: str, answer: Answer[str], grade: Grade) -> None:
    assert of_hostname(hostname, answer).grade is grade


@pytest.mark.parametrize(
    ("version", "standing", "ipv6", "grade"),
    [
        (4, Standing.CONFIRMED, Ipv6.AUTO, OK),
        (4, Standing.NAMELESS, Ipv6.AUTO, ERROR),
        (4, Standing.UNCONFIRMED, Ipv6.AUTO, ERROR),
        (4, Standing.UNKNOWN, Ipv6.AUTO, WARNING),
        (4, Standing.PRIVATE, Ipv6.AUTO, WARNING),
        (4, Standing.ABSENT, Ipv6.AUTO, WARNING),
        (6, Standing.CONFIRMED, Ipv6.AUTO, OK),
        (6, Standing.NAMELESS, Ipv6.AUTO, WARNING),
        (6, Standing.NAMELESS, Ipv6.ALWAYS, ERROR),
        (6, Standing.ABSENT, Ipv6.ALWAYS, OK),
    ],
)
def test_addresses_without_a_name_that_leads_back_are_at_fault(
    version: int, standing: Standing, ipv6: Ipv6, grade: Grade
) -> None:
    papers = Papers(version, "9.9.9.9", standing, (NAME,), "text")

    assert of_papers(papers, NAME, ipv6).grade is grade


def test_an_address_should_be_called_by_its_reverse_name() -> None:
    papers = Papers(4, "9.9.9.9", Standing.CONFIRMED, ("other.test",), "9.9.9.9 is other.test")

    found = of_papers(papers, NAME, Ipv6.AUTO)

    assert (found.grade, found.text) == (
        WARNING,
        "9.9.9.9 is other.test, and calls itself mail.us.test",
    )


def test_a_source_that_is_not_ours_is_at_fault() -> None:
    assert of_absence("9.9.9.9").grade is ERROR


TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", is_verified=False)
TIMEOUT = broken(Stage.CONNECT, HOST, "no connection within 8 seconds", detail=1)
REFUSAL = judge(Reply(554, "no mail from you"), Stage.GREETING, HOST)
BROKEN_TLS = broken(Stage.TLS, HOST, "TLS handshake failed", subject=7, detail=5)


@pytest.mark.parametrize(
    ("found", "grade", "words"),
    [
        ([TLS], OK, "over TLSv1.3"),
        ([TIMEOUT, None], OK, "in clear"),
        ([TIMEOUT, TIMEOUT], ERROR, "no connection within 8 seconds"),
        ([TIMEOUT, REFUSAL], ERROR, "no mail from you"),
        ([BROKEN_TLS], WARNING, "TLS handshake failed"),
        ([unresolved("there is no such domain")], WARNING, "there is no such domain"),
        ([], WARNING, "no host"),
    ],
)
def test_the_road_is_open_if_one_host_greets_us(
    found: Sequence[TlsFacts | Outcome | None], grade: Grade, words: str
) -> None:
    judged = of_road("there.test", 25, found)

    assert judged.grade is grade
    assert words in judged.text


def test_a_shut_port_has_a_cure() -> None:
    assert "smarthost" in of_road("there.test", 25, [TIMEOUT]).cure


@pytest.mark.parametrize(
    ("result", "grade", "cure"),
    [
        (SpfResult.PASS, OK, ""),
        (SpfResult.NEUTRAL, WARNING, "add ip4:9.9.9.9 to the record"),
        (SpfResult.SOFTFAIL, ERROR, "add ip4:9.9.9.9 to the record"),
        (SpfResult.FAIL, ERROR, "add ip4:9.9.9.9 to the record"),
        (
            SpfResult.NONE,
            ERROR,
            'publish for us.test the TXT record "v=spf1 ip4:9.9.9.9 -all"',
        ),
        (SpfResult.PERMERROR, ERROR, "mend the record: receivers take it for none"),
        (SpfResult.TEMPERROR, WARNING, ""),
        (SpfResult.MACROS, WARNING, ""),
    ],
)
def test_a_domain_has_to_let_our_address_send(result: SpfResult, grade: Grade, cure: str) -> None:
    found = of_spf("us.test", "9.9.9.9", result, "why")

    assert (found.grade, found.cure) == (grade, cure)


def test_an_ipv6_address_is_added_as_such() -> None:
    assert "ip6:2606:4700::9" in of_spf("us.test", "2606:4700::9", SpfResult.FAIL, "").cure


@pytest.mark.parametrize(
    ("found", "grade"),
    [
        (of_dkim("s1._domainkey.us.test", None), OK),
        (of_dkim("s1._domainkey.us.test", "there is none"), ERROR),
        (of_unsigned("us.test"), ERROR),
        (of_dmarc("us.test", "none"), OK),
        (of_dmarc("us.test", ""), ERROR),
        (of_dmarc("us.test", None), ERROR),
        (of_dmarc("us.test", None, "SERVFAIL"), WARNING),
        (of_clock(True), OK),
        (of_clock(None), OK),
        (of_clock(False), WARNING),
        (of_disk(1000 * MIB, None, least=128 * MIB, least_inodes=1000), OK),
        (of_disk(200 * MIB, 5000, least=128 * MIB, least_inodes=1000), WARNING),
        (of_disk(100 * MIB, 5000, least=128 * MIB, least_inodes=1000), ERROR),
        (of_disk(1000 * MIB, 500, least=128 * MIB, least_inodes=1000), ERROR),
    ],
)
def test_domains_and_the_machine_are_judged(found: Diagnosis, grade: Grade) -> None:
    assert found.grade is grade
    assert bool(found.cure) is (grade is not OK) or found.text.startswith("cannot be looked up")


def test_what_a_domain_publishes_of_tls_is_told() -> None:
    tlsa = Answer(Finding.RECORDS, (Tlsa(3, 1, 1, b"x" * 32),), is_secure=True)

    assert of_policies("there.test", None).text == "publishes nothing"
    assert of_policies("there.test", "20260101", tlsa).text == (
        "publishes MTA-STS (id 20260101) and TLSA, signed"
    )


def test_errors_alone_are_unhealthy() -> None:
    assert is_healthy([of_clock(False)])
    assert not is_healthy([of_clock(True), of_unsigned("us.test")])
