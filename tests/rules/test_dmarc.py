"""DMARC records."""

import pytest

from mta.rules.message.dmarc import policy_among, record_names


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("example.com", ["_dmarc.example.com"]),
        (
            "a.b.example.com",
            ["_dmarc.a.b.example.com", "_dmarc.b.example.com", "_dmarc.example.com"],
        ),
        ("localhost", ["_dmarc.localhost"]),
    ],
)
def test_a_record_stands_at_a_domain_or_above(domain: str, expected: list[str]) -> None:
    assert record_names(domain) == expected


def test_few_places_are_looked_at() -> None:
    assert len(record_names(".".join("abcdefghijklmnopqrstuvwxyz"))) == 9


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["v=DMARC1; p=none"], "none"),
        (["other", "v=DMARC1;p=Reject; rua=mailto:x@y.test"], "reject"),
        (["v = DMARC1 ; p = quarantine"], "quarantine"),
        (["v=DMARC1"], ""),
        (["v=DMARC1; p=later"], ""),
        (["v=DMARC2; p=none"], None),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], None),
        ([], None),
    ],
)
def test_the_policy_is_that_of_the_only_record(texts: list[str], expected: str | None) -> None:
    assert policy_among(texts) == expected
