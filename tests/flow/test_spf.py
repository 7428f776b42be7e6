"""Does a domain let an address send its mail?"""

import asyncio
from collections.abc import Mapping

import pytest

from mta.model.domain import Answer, Finding, Mx

from mta.rules.message.spf import SpfResult

from mta.flow.spf import spf_result

NINE, SIX = "9.9.9.9", "2606:4700::9"


class FakeDns:
    """Texts by name; an address for each host, and exchangers for one domain."""

    def __init__(self, texts: Mapping[str, str | None]) -> None:
        self._texts = texts
        self.asked = 0

    async def txt(self, name: str) -> Answer[str]:
        text = self._texts.get(name, "")
        if text is None:
            return Answer(Finding.UNKNOWN, text="SERVFAIL")
        return Answer(Finding.RECORDS, (text,)) if text else Answer(Finding.NO_NAME)

    async def mx(self, domain: str) -> Answer[Mx]:
        return Answer(Finding.RECORDS, (Mx(10, "mx.test"), Mx(20, "")))

    async def addresses(self, name: str) -> Answer[str]:
        self.asked += 1
        known = {"mx.test": (NINE, SIX), "us.test": (NINE,)}
        found = known.get(name, ())
        return Answer(Finding.RECORDS, found) if found else Answer(Finding.NO_DATA)


def result(record: str | None, address: str = NINE, **others: str) -> tuple[SpfResult, str]:
    texts = {f"{name}.test": text for name, text in others.items()} | {"us.test": record}
    return asyncio.run(spf_result(FakeDns(texts), "us.test", address))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("v=spf1 ip4:9.9.9.9 -all", SpfResult.PASS),
        ("v=spf1 ip4:9.9.9.0/24 -all", SpfResult.PASS),
        ("v=spf1 ip4:9.9.8.0/24 -all", SpfResult.FAIL),
        ("v=spf1 ip6:2606:4700::9 ~all", SpfResult.SOFTFAIL),
        ("v=spf1 a -all", SpfResult.PASS),
        ("v=spf1 a:other.test -all", SpfResult.FAIL),
        ("v=spf1 mx -all", SpfResult.PASS),
        ("v=spf1 exists:us.test -all", SpfResult.PASS),
        ("v=spf1 ptr -all", SpfResult.FAIL),
        ("v=spf1 include:a.test -all", SpfResult.PASS),
        ("v=spf1 include:b.test -all", SpfResult.FAIL),
        ("v=spf1 redirect=b.test", SpfResult.SOFTFAIL),
        ("v=spf1 -ip4:9.9.9.9 +all", SpfResult.FAIL),
        ("v=spf1", SpfResult.NEUTRAL),
        ("", SpfResult.NONE),
        (None, SpfResult.TEMPERROR),
        ("v=spf1 exists:%{i}.x.test -all", SpfResult.MACROS),
        ("v=spf1 include:nothing.test -all", SpfResult.PERMERROR),
        ("v=spf1 ip4:mail.test -all", SpfResult.PERMERROR),
        ("v=spf1 include:us.test -all", SpfResult.PERMERROR),
    ],
)
def test_a_domain_says_who_may_send_for_it(record: str | None, expected: SpfResult) -> None:
    found, _ = result(record, a="v=spf1 ip4:9.9.9.9 -all", b="v=spf1 ip4:9.9.9.8 ~all")

    assert found is expected


def test_ipv6_is_looked_for_among_its_own() -> None:
    assert result("v=spf1 a -all", SIX)[0] is SpfResult.FAIL
    assert result("v=spf1 mx -all", SIX)[0] is SpfResult.PASS


def test_a_circle_ends_after_ten_look_ups() -> None:
    assert result("v=spf1 include:us.test -all")[1] == (
        "the record needs more than 10 look-ups (RFC 7208 §4.6.4)"
    )


def test_a_record_causes_few_queries_whatever_it_says() -> None:
    dns = FakeDns({"us.test": "v=spf1 " + "mx " * 90 + "-all"})

    asyncio.run(spf_result(dns, "us.test", "9.9.9.1"))

    assert dns.asked == 10
