import pytest

from mta.model.text import printable, printable_ascii


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ~text", "plain ~text"),
        ("é\U0001f600", r"\xe9\U0001f600"),
        ("\u2028", r"\u2028"),
        ("\r\n\0\x1b\x7f", r"\r\n\x00\x1b\x7f"),
        ("\udcff", r"\udcff"),
    ],
)
def test_text_is_shown_in_printable_ascii(text: str, shown: str) -> None:
    assert printable_ascii(text) == shown


def test_what_can_be_seen_stays_as_it_is() -> None:
    assert printable("café \u2028 \x1b[31m") == r"café \u2028 \x1b[31m"
