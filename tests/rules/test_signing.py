from collections.abc import Callable, Sequence

import pytest
from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st

from mta.model.address import Address, refuse_unicode

from mta.rules.message import signing
from mta.rules.message.headers import Header, read_header
from mta.rules.message.signing import (
    MAX_INSTANCES,
    SigningKey,
    author,
    by_domain,
    fields_to_sign,
    keys_for,
    relaxed_body,
)


def key(domain: str, selector: str = "s1") -> SigningKey:
    return SigningKey(domain, selector, bytes)


def names(keys: Sequence[SigningKey]) -> list[tuple[str, str]]:
    return [(key.selector, key.domain) for key in keys]


def author_domain(header: Header, to_ascii: Callable[[str], str] = refuse_unicode) -> str | None:
    found = author(header, to_ascii)
    return None if found is None else found.domain


@pytest.mark.parametrize(
    ("field", "domain"),
    [
        ("From: ann@example.com", "example.com"),
        ("From: Ann <ann@Example.COM>", "example.com"),
        ("from:ann@example.com", "example.com"),
        ("From : ann@example.com", "example.com"),
        ("From: Ann\r\n\t<ann@\r\n example.com>", "example.com"),
        ('From: "Ann <ann@other.test>" <ann@example.com>', "example.com"),
        ('From: "a@b"@example.com', "example.com"),
        ('From: "quote \\" inside" <ann@example.com>', "example.com"),
        ("From: ann@example.com (ann@other.test)", "example.com"),
        ("From: (a (nested) \\) comment) ann@example.com", "example.com"),
        ("From: =?utf-8?q?ann=40other=2Etest?= <ann@example.com>", "example.com"),
        ("From: ann@example.com, bob@other.test", "example.com"),
        ("From: Ann <ann@example.com>, Bob <bob@other.test>", "example.com"),
        ("From: Team: ann@example.com, bob@other.test;", "example.com"),
        ("From: <@relay.test,@hop.test:ann@example.com>", "example.com"),
        ("From: ann @ example . com", "example.com"),
        ("From: ann@xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("From: ann@example.com\r\nFrom: bob@other.test", "example.com"),
        ("From: J\xf6rg <ann@example.com>", "example.com"),
        ("Subject: hello", None),
        ("From:", None),
        ("From: Team:;", None),
        ("From: nobody", None),
        ("From: <>", None),
        ("From: ann@[192.0.2.1]", None),
        ("From: ann@[IPv6:2001:db8::1]", None),
        ("From: ann@exa_mple..com", None),
        ('From: "never closed <ann@example.com>', None),
        ("Subject: x\r\n\r\nFrom: ann@example.com", None),
    ],
)
def test_the_author_s_domain_is_that_of_the_first_mailbox_in_from(
    field: str, domain: str | None
) -> None:
    assert author_domain(read_header(field.encode("latin-1") + b"\r\n\r\nbody\r\n")) == domain


def test_the_author_is_the_first_mailbox_with_its_local_part() -> None:
    header = read_header(b"From: Ann <Ann.B@Here.test>, bob@there.test\r\n\r\n")

    assert author(header) == Address("Ann.B", "here.test")


def test_an_author_s_domain_in_unicode_needs_somebody_who_knows_idna() -> None:
    content = "From: ann@münchen.example\r\n\r\n".encode()

    assert author_domain(read_header(content)) is None
    assert (
        author_domain(read_header(content), lambda _: "xn--mnchen-3ya.example")
        == "xn--mnchen-3ya.example"
    )


@given(st.binary())
def test_no_from_field_makes_an_exception(noise: bytes) -> None:
    author_domain(read_header(b"From: " + noise))


def test_a_domain_s_own_keys_sign_before_its_parent_s() -> None:
    keys = [key("example.com"), key("news.example.com", "a"), key("news.example.com", "b")]

    assert names(keys_for("news.example.com", by_domain(keys))) == [
        ("a", "news.example.com"),
        ("b", "news.example.com"),
    ]


def test_the_nearest_parent_signs_for_a_domain_without_a_key() -> None:
    keys = [key("example.com"), key("b.example.com")]

    assert names(keys_for("a.b.example.com", by_domain(keys))) == [("s1", "b.example.com")]


@pytest.mark.parametrize("domain", ["other.test", "notexample.com", "example.com.test", "com"])
def test_nobody_signs_for_a_stranger(domain: str) -> None:
    assert keys_for(domain, by_domain([key("example.com")])) == ()


def test_a_top_level_domain_signs_for_nobody_below_it() -> None:
    assert keys_for("example.com", by_domain([key("com")])) == ()


def test_what_must_not_be_added_is_signed_once_more_than_it_is_there() -> None:
    signed = fields_to_sign({"from": 1, "to": 2, "list-unsubscribe-post": 1, "x-own": 1})

    assert signed.count("from") == 2
    assert signed.count("to") == 3
    assert signed.count("cc") == 1
    assert signed.count("list-unsubscribe-post") == 1
    assert "list-unsubscribe" not in signed
    assert "x-own" not in signed


def test_a_thousand_fields_of_one_name_do_not_make_a_thousand_names() -> None:
    assert fields_to_sign({"to": 1000}).count("to") == MAX_INSTANCES + 1


@given(st.lists(st.sampled_from([b" ", b"\t", b"a", b"\xe4", b"\r\n"])).map(b"".join))
def test_the_relaxed_body_is_the_one_that_dkimpy_makes(text: bytes) -> None:
    body = text + b"\r\n"

    assert relaxed_body(body) == Relaxed.canonicalize_body(body)


@pytest.mark.parametrize(
    ("body", "relaxed"),
    [(b"", b""), (b"\r\n\r\n", b""), (b"a", b"a\r\n"), (b"a ", b"a\r\n"), (b" a\r\n", b" a\r\n")],
)
def test_a_body_is_relaxed_as_it_goes_on_the_wire(body: bytes, relaxed: bytes) -> None:
    assert relaxed_body(body) == relaxed


def test_a_megabyte_of_blanks_is_relaxed_at_once() -> None:
    assert relaxed_body(b" " * 1_000_000 + b"x\r\n") == b" x\r\n"


@given(st.text(alphabet='ab.@<>"(),:;[]\\ \t\r\n', max_size=40))
def test_a_plain_mailbox_is_read_as_the_full_reader_would(text: str) -> None:
    plain = signing._PLAIN.fullmatch(text)

    if plain is not None:
        full = signing._mailboxes(signing._without_comments(text))
        assert next(full).split() == (plain[1] or plain[2]).split()
