"""Which addresses and texts a pattern of the settings means."""

import pytest

from mta.model.address import parse_address, parse_domain

from mta.rules.routes.patterns import Glob, read_pattern


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("bulk", "bulk", True),
        ("bulk", "Bulk", True),  # upper and lower case are one
        ("bulk", "bulky", False),
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("*", "anything at all", True),
        ("news*", "newsletter", True),
        ("news*", "old news", False),
        ("*news", "old news", True),
        ("a*a", "a", False),  # one letter is not both ends
        ("a*a", "aa", True),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("*x*x*", "x", False),
        ("[a-z]?", "b1", False),  # nothing but * is special
        ("[a-z]?", "[A-Z]?", True),
    ],
)
def test_a_star_stands_for_anything_and_nothing_else_is_special(
    pattern: str, text: str, fits: bool
) -> None:
    assert Glob(pattern).matches(text) is fits


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("example.com", ["bob@example.com"], ["bob@a.example.com", "bob@badexample.com"]),
        ("Example.COM", ["bob@example.com"], []),
        ("*.example.com", ["bob@a.example.com", "b@a.b.example.com"], ["bob@example.com"]),
        ("bob@example.com", ["bob@example.com", "BOB@example.com"], ["ann@example.com"]),
        ("bob+*@example.com", ["bob+x@example.com"], ["bob@example.com"]),
        ("postmaster@*", ["postmaster@a.test"], ["bob@a.test"]),
        ("*@example.com", ["bob@example.com"], ["bob@a.example.com"]),
        ("bob@*.example.com", ["bob@a.example.com"], ["bob@example.com"]),
        ("*", ["bob@a.test", "ann@[192.0.2.1]"], []),
    ],
)
def test_a_pattern_means_some_addresses(
    pattern: str, fitting: list[str], others: list[str]
) -> None:
    means = read_pattern(pattern, parse_domain).matches

    assert all(means(parse_address(text)) for text in fitting)
    assert not any(means(parse_address(text)) for text in others)
    assert not means(None)


def test_the_null_sender_has_a_pattern_of_its_own() -> None:
    pattern = read_pattern("<>", parse_domain, null_allowed=True)

    assert pattern.matches(None)
    assert not pattern.matches(parse_address("bob@example.com"))


@pytest.mark.parametrize("text", ["<>", "", "@example.com", "a..b", "ex*mple.com", "**", "bob@"])
def test_what_means_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a pattern such as"):
        read_pattern(text, parse_domain)


@pytest.mark.parametrize("text", ["*.example.com", "bob@example.com", "*", "postmaster@*"])
def test_a_pattern_is_shown_as_it_is_written(text: str) -> None:
    assert str(read_pattern(text, parse_domain)) == text


def test_many_stars_cost_no_more_than_they_are_long() -> None:
    assert not Glob("a*" * 200 + "b").matches("a" * 100_000)
