"""Whatever is read as an address gives an address or AddressError, and an address reads back.

Invariants: nothing else is raised; `parse(str(parse(x))) == parse(x)`; what passes is one line
that UTF-8 can say, of bounded length, with an ASCII domain.
"""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from mta.model.address import Address, AddressError, parse_address, refuse_unicode

from mta.edge.idn import to_ascii

# Mostly the characters that mean something, so that near-addresses of every kind come up.
PIECES = st.sampled_from(
    [
        *("a", "B", "1", ".", "@", '"', "\\", " ", "-", "<", ">", "a" * 60),
        *("[", "]", "IPv6:", ":", "::1", "%", "127.0.0.1"),
        *("é", "ß", "。", "\u200d", "\r", "\n", "\0", "\x85", "\u2028", "\udcff"),
    ]
)
TEXT = st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=80)
LIKELY = st.builds("{}@{}".format, TEXT, TEXT | st.just("here.test"))
CONVERSIONS = st.sampled_from([to_ascii, refuse_unicode])


def parsed(text: str, conversion: Callable[[str], str]) -> Address | None:
    try:
        return parse_address(text, conversion)
    except AddressError as error:
        said = str(error)
    assert said.isascii()
    assert said.isprintable()
    assert len(said) < 500
    return None


@given(TEXT | LIKELY, CONVERSIONS)
def test_an_address_is_read_or_refused(text: str, conversion: Callable[[str], str]) -> None:
    address = parsed(text, conversion)

    if address is not None:
        assert len(str(address).encode().splitlines()) == 1
        assert len(str(address).splitlines()) == 1
        assert len(address.local.encode()) <= 64
        assert len(address.domain) <= 253
        assert address.domain.isascii()


@given(TEXT | LIKELY, CONVERSIONS)
def test_an_address_reads_back_as_itself(text: str, conversion: Callable[[str], str]) -> None:
    address = parsed(text, conversion)

    if address is not None:
        assert parse_address(str(address)) == address
