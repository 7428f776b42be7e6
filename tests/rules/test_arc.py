"""The shape of seals; what they are worth is verified in tests/edge/test_verifier.py."""

import re

import pytest

from mta.rules.message.arc import Chain, DkimResult, Findings, Sealer, seal_fields
from mta.rules.message.headers import read_header

NOW = 1_750_000_000
SEALER = Sealer("mail.here.test", "here.test", "s1", lambda octets: b"signed")
MESSAGE = b"From: ann@example.com\r\nTo: x\r\nDKIM-Signature: v=1\r\n\r\nHi\r\n"
PASS = Findings((DkimResult("pass", "example.com", "s1"),))
ONE_SET = (
    b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=a.test; s=s; b=x\r\n"
    b"ARC-Message-Signature: i=1; a=rsa-sha256; d=a.test; s=s; h=from; bh=x; b=x\r\n"
    b"ARC-Authentication-Results: i=1; a.test; dkim=pass\r\n"
)


def sealed(content: bytes = MESSAGE, findings: Findings = PASS) -> str:
    return seal_fields(read_header(content), findings, SEALER, NOW).decode()


def test_the_first_set_says_what_was_found_and_that_there_was_no_chain() -> None:
    seal, signature, results = re.split(r"(?m)^(?=ARC-(?:M|A))", sealed())

    assert seal.startswith("ARC-Seal: i=1; a=rsa-sha256; t=1750000000; cv=none;\r\n\td=here.test;")
    assert signature.startswith("ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed;")
    assert results == (
        "ARC-Authentication-Results: i=1; mail.here.test;\r\n"
        "\tdkim=pass header.d=example.com header.s=s1;\r\n"
        "\tarc=none\r\n"
    )


def test_the_signatures_that_came_are_signed_and_no_field_that_others_add() -> None:
    assert "h=dkim-signature:\r\n\tto:\r\n\tfrom;" in sealed()


@pytest.mark.parametrize(("chain", "cv"), [(Chain.PASS, "pass"), (Chain.FAIL, "fail")])
def test_the_next_set_says_what_the_chain_before_it_is_worth(chain: Chain, cv: str) -> None:
    fields = sealed(ONE_SET + MESSAGE, Findings(chain=chain))

    assert "ARC-Seal: i=2;" in fields
    assert f"cv={cv};" in fields
    assert f"arc={cv}" in fields


def test_a_message_without_seals_is_not_said_to_have_them() -> None:
    assert "cv=none" in sealed(findings=Findings(chain=Chain.PASS))


def test_a_chain_that_ended_is_not_sealed_again() -> None:
    assert sealed(ONE_SET.replace(b"cv=none", b"cv=fail") + MESSAGE) == ""


def test_a_chain_of_fifty_is_not_made_longer() -> None:
    assert sealed(ONE_SET.replace(b"i=1", b"i=50") + MESSAGE) == ""
    assert sealed(ONE_SET.replace(b"i=1", b"i=49") + MESSAGE, Findings(chain=Chain.FAIL)) != ""


def test_a_message_without_signatures_is_said_to_have_none() -> None:
    assert "dkim=none" in sealed(findings=Findings())


def test_no_word_of_a_stranger_breaks_out_of_the_results() -> None:
    forged = DkimResult("fail", "a.test;\r\nX-Evil: 1; dkim=pass", "s\x00(")

    fields = sealed(findings=Findings((forged,)))

    assert "header.d=a.test???X-Evil??1??dkim?pass header.s=s??" in fields
    assert not re.search(r"(?m)^X-Evil", fields)


def test_lines_are_short() -> None:
    many = Findings(tuple(DkimResult("pass", "d" * 20, "s") for _ in range(9)))

    assert max(len(line) for line in sealed(findings=many).split("\r\n")) <= 78
    assert sealed(findings=many).count("dkim=pass") == 5
