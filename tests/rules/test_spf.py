"""SPF records: from texts to terms."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.rules.message.spf import SpfError, Term, is_within, record_among, terms_of


def test_the_one_record_is_found_among_other_texts() -> None:
    texts = ["google-site-verification=x", "v=spf10 all", "V=SPF1 -all", "spf2.0/pra"]

    assert record_among(texts) == "V=SPF1 -all"
    assert record_among(texts[:2]) is None


def test_two_records_are_an_error() -> None:
    with pytest.raises(SpfError, match="found 2"):
        record_among(["v=spf1 -all", "v=spf1 a -all"])


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("v=spf1", []),
        ("v=spf1 -all", [Term("all", qualifier="-")]),
        ("v=spf1 a MX ~all", [Term("a"), Term("mx"), Term("all", qualifier="~")]),
        ("v=spf1 a:x.test/24//64", [Term("a", "x.test", prefixes=(24, 64))]),
        ("v=spf1 ip4:192.0.2.0/24", [Term("ip4", "192.0.2.0", prefixes=(24, 128))]),
        ("v=spf1 ip6:2001:db8::/32", [Term("ip6", "2001:db8::", prefixes=(32, 32))]),
        ("v=spf1 include:a.test exp=why.test", [Term("include", "a.test")]),
        ("v=spf1 redirect=b.test a", [Term("a"), Term("redirect", "b.test")]),
        ("v=spf1 redirect=b.test ?all", [Term("all", qualifier="?")]),
    ],
)
def test_terms_are_read_in_their_order(record: str, expected: list[Term]) -> None:
    assert terms_of(record) == expected


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 ip:192.0.2.1",
        "v=spf1 include -all",
        "v=spf1 ip4:192.0.2.0/33",
        "v=spf1 a,mx",
        "v=spf1 redirect=a.test redirect=b.test",
        "v=spf1 " + "a " * 101,
    ],
)
def test_what_is_no_spf_is_an_error(record: str) -> None:
    with pytest.raises(SpfError):
        terms_of(record)


@pytest.mark.parametrize(
    ("term", "address", "of", "expected"),
    [
        (Term("ip4"), "9.9.9.9", "9.9.9.9", True),
        (Term("ip4"), "9.9.9.8", "9.9.9.9", False),
        (Term("ip4", prefixes=(24, 128)), "9.9.9.8", "9.9.9.9", True),
        (Term("a", prefixes=(32, 64)), "2001:db8::1", "2001:db8::ffff", True),
        (Term("a"), "2001:db8::1", "9.9.9.9", False),
        (Term("a", prefixes=(0, 0)), "2001:db8::1", "2002::", True),
    ],
)
def test_an_address_is_looked_for_in_a_network(
    term: Term, address: str, of: str, expected: bool
) -> None:
    assert is_within(term, ip_address(address), of=of) is expected


def test_what_is_no_address_is_an_error() -> None:
    with pytest.raises(SpfError, match="expected an IP address"):
        is_within(Term("ip4"), ip_address("9.9.9.9"), of="mail.test")


@given(st.text(max_size=200))
def test_whatever_a_domain_says_ends_in_terms_or_an_error(text: str) -> None:
    try:
        terms = terms_of(f"v=spf1 {text}")
    except SpfError:
        return
    assert all(term.name for term in terms)
