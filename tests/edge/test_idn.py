"""Domains as people write them, in the form that the DNS knows."""

import pytest

from mta.model.address import AddressError, parse_address

from mta.edge.idn import to_ascii


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.Example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("\uff21\uff22\uff23.example", "abc.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_a_domain_is_turned_into_lower_case_a_labels(written: str, expected: str) -> None:
    assert to_ascii(written) == expected


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "Empty domain"),
        ("ü..example", "Empty Label"),
        ("☃.example", "U+2603"),
        ("\u05d0a.example", "right-to-left"),
        ("a\u200db.example", "Joiner"),
        ("-ü.example", "hyphen"),
        ("ü" * 70 + ".example", "too long"),
        ("ü" * 100_000, "at most 253 characters, got 100000"),
        ("\ud800.example", "U+D800"),
        ("ü\r\n.example", "not allowed"),
    ],
)
def test_what_cannot_be_a_domain_is_refused_in_printable_ascii(written: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"expected|IDNA 2008") as caught:
        to_ascii(written)

    text = str(caught.value)
    assert reason.lower() in text.lower()
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 200


def test_addresses_in_two_spellings_have_one_domain() -> None:
    first = parse_address("jürgen@Bücher.example", to_ascii)
    second = parse_address("jürgen@xn--bcher-kva.example")

    assert first == second


def test_a_character_that_hides_a_slash_makes_no_address() -> None:
    with pytest.raises(AddressError):
        parse_address("ann@℀.example", to_ascii)
