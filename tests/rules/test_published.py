import pytest

from mta.model.domain import Answer, Finding

from mta.rules.message.dkimrecord import DkimRecord, KeyKind
from mta.rules.message.published import objection_to_published, tags_in

OURS = "MIIB" + "A" * 380 + "=="
RSA = DkimRecord("example.com", "s1", OURS)
ED25519 = DkimRecord(
    "example.com", "e1", "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", KeyKind.ED25519
)


def found(*texts: str) -> Answer[str]:
    return Answer(Finding.RECORDS, texts)


@pytest.mark.parametrize(
    "text",
    [
        RSA.value,
        f"p={OURS}",
        f"k=rsa; p={OURS};",
        f"v=DKIM1;k=rsa;h=sha1:sha256;s=email:web;t=s;n=a note; p= {OURS[:100]} {OURS[100:]} ",
        f"v=DKIM1; s=*; p={OURS}; unknown=tag",
    ],
)
def test_a_record_that_has_our_key_is_right_however_it_is_written(text: str) -> None:
    assert objection_to_published(RSA, found(text)) is None


def test_an_ed25519_record_is_right() -> None:
    assert ED25519.value.startswith("v=DKIM1; k=ed25519; p=11qY")
    assert objection_to_published(ED25519, found(ED25519.value)) is None


@pytest.mark.parametrize(
    ("texts", "objection"),
    [
        ((), "expected our record, found none"),
        ((RSA.value, RSA.value), "expected one record, found 2"),
        (("v=DKIM1; p=",), "the key is revoked"),
        (("v=DKIM1; k=rsa",), "a record without p="),
        (("some other text",), "a record without p="),
        ((f"v=DKIM2; p={OURS}",), "expected v=DKIM1, found v=DKIM2"),
        ((f"v=DKIM1; k=ed25519; p={OURS}",), "expected k=rsa, found k=ed25519"),
        ((f"v=DKIM1; h=sha1; p={OURS}",), "expected h=sha256 or no h=, found h=sha1"),
        ((f"v=DKIM1; s=tlsrpt; p={OURS}",), "expected s=email or no s=, found s=tlsrpt"),
        ((f"v=DKIM1; t=y; p={OURS}",), "found t=y"),
        (("v=DKIM1; p=MIIBother",), f"expected our key ...{OURS[-24:]}, found MIIBother"),
        (("v=DKIM1; p=" + OURS[:255],), "found ...AAAA"),
    ],
)
def test_whatever_keeps_receivers_from_verifying_is_an_objection(
    texts: tuple[str, ...], objection: str
) -> None:
    finding = Finding.RECORDS if texts else Finding.NO_NAME

    assert objection in (objection_to_published(RSA, Answer(finding, texts)) or "")


def test_a_dns_that_does_not_say_is_told_from_one_that_has_nothing() -> None:
    unknown: Answer[str] = Answer(Finding.UNKNOWN, text="no answer within 10 s")

    assert objection_to_published(RSA, unknown) == "the DNS does not say: no answer within 10 s"


def test_what_a_server_says_is_escaped_and_bounded() -> None:
    objection = objection_to_published(RSA, found("v=\x1b[2J" + "x" * 9000 + f"; p={OURS}"))

    assert objection is not None
    assert objection.isprintable()
    assert len(objection) < 200


def test_of_a_tag_that_stands_twice_the_first_counts() -> None:
    assert tags_in("p=a; p=b;;=;x") == {"p": "a", "": ""}
