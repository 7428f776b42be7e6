"""What is a mailbox, and in which one form it is kept."""

import pytest

from mta.model.address import Address, AddressError, literal_ip, parse_address, parse_domain


def fake_to_ascii(domain: str) -> str:
    """IDNA for two names, and a refusal for every other."""
    known = {"bücher.test": "xn--bcher-kva.test", "BÜCHER.test": "XN--bcher-kva.test"}
    if domain not in known:
        raise ValueError("not a name by IDNA 2008")
    return known[domain]


LONG_LABEL = "a" * 63
LONGEST_DOMAIN = ".".join([LONG_LABEL] * 3 + ["a" * 57 + ".test"[1:]])


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("ann@here.test", "ann", "here.test"),
        ("Ann.B+tag=x@Here.TEST", "Ann.B+tag=x", "here.test"),
        ("!#$%&'*+/=?^_`{|}~-@here.test", "!#$%&'*+/=?^_`{|}~-", "here.test"),
        ("a@localhost", "a", "localhost"),
        ("a@1.example", "a", "1.example"),
        ("a@xn--bcher-kva.test", "a", "xn--bcher-kva.test"),
        # Quoted strings keep their quotes, and hold what an atom may not
        ('"ann b"@here.test', '"ann b"', "here.test"),
        ('"ann@there.test"@here.test', '"ann@there.test"', "here.test"),
        (r'"a\"b\\c"@here.test', r'"a\"b\\c"', "here.test"),
        ('""@here.test', '""', "here.test"),
        ('"<>,;:"@here.test', '"<>,;:"', "here.test"),
        # Beyond ASCII
        ("jürgen@here.test", "jürgen", "here.test"),
        ('"jürgen b"@here.test', '"jürgen b"', "here.test"),
        ("ann@bücher.test", "ann", "xn--bcher-kva.test"),
        ("ann@BÜCHER.test", "ann", "xn--bcher-kva.test"),
        # Address literals, in one spelling
        ("a@[192.0.2.1]", "a", "[192.0.2.1]"),
        ("a@[IPv6:2001:db8::1]", "a", "[IPv6:2001:db8::1]"),
        ("a@[ipv6:2001:0DB8:0:0:0:0:0:1]", "a", "[IPv6:2001:db8::1]"),
        # Just as long as may be
        ("a" * 64 + "@here.test", "a" * 64, "here.test"),
        ("é" * 32 + "@here.test", "é" * 32, "here.test"),
        ("a@" + LONG_LABEL + ".test", "a", LONG_LABEL + ".test"),
        ("a@" + LONGEST_DOMAIN, "a", LONGEST_DOMAIN),
    ],
)
def test_a_mailbox_is_read(text: str, local: str, domain: str) -> None:
    assert parse_address(text, fake_to_ascii) == Address(local, domain)


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "ann", "ann@", "@here.test", "ann here.test"),
        # Local parts
        *(".ann@here.test", "ann.@here.test", "a..b@here.test", "a b@here.test", "a(b)@here.test"),
        *("a@b@here.test", '"a@here.test', 'a"b"@here.test', '"a"b"@here.test', '"a\\"@here.test'),
        *("<ann@here.test>", "ann@here.test>", " ann@here.test", "ann@here.test "),
        # Control characters, as they are and quoted
        *("a\r\nb@here.test", '"a\r\nb"@here.test', '"a\\\nb"@here.test', "a\0@here.test"),
        *("a\x7f@here.test", '"a\x7f"@here.test', '"\t"@here.test', "a@here.test\n"),
        # What some readers take for the end of a line, and what no UTF-8 can say
        *("a\x85b@here.test", "a\u2028b@here.test", "a\u2029@here.test", "a\x9f@here.test"),
        *("a\udcff@here.test", '"\ud800"@here.test', "a@\udcff.test"),
        # Domains
        *(
            "a@.test",
            "a@here..test",
            "a@here.test.",
            "a@-here.test",
            "a@here-.test",
            "a@he_re.test",
        ),
        *(
            "a@here test",
            "a@here,test",
            "a@here.test/x",
            "a@192.0.2.1",
            "a@here.123",
            "a@unknown.é",
        ),
        # Literals
        *("a@[", "a@[]", "a@[192.0.2.1", "a@192.0.2.1]", "a@[192.0.2.256]", "a@[192.0.2]"),
        *("a@[0300.0.2.1]", "a@[2001:db8::1]", "a@[IPv6:192.0.2.1]", "a@[IPv6:]", "a@[x:y]"),
        *("a@[IPv6:fe80::1%eth0]", "a@[IPv6:fe80::1%\r\nRCPT TO:<b]", "a@[[192.0.2.1]]"),
        # One octet, or one character, too many
        *("a" * 65 + "@here.test", "é" * 32 + "a@here.test", '"' + "a" * 63 + '"@here.test'),
        *("a@" + "a" * 64 + ".test", "a@a" + LONGEST_DOMAIN, "a@" + "a." * 200 + "test"),
    ],
)
def test_what_is_no_mailbox_is_refused_in_words_fit_for_a_reply(text: str) -> None:
    with pytest.raises(AddressError) as raised:
        parse_address(text, fake_to_ascii)

    said = str(raised.value)
    assert said.startswith("expected ")
    assert said.isascii()
    assert said.isprintable()
    assert len(said) < 300


@pytest.mark.parametrize("text", ["😀" * 5_000 + "@here.test", "a@" + "\udcff" * 5_000])
def test_a_refusal_is_short_whatever_was_given(text: str) -> None:
    with pytest.raises(AddressError) as raised:
        parse_address(text)

    assert len(str(raised.value)) < 200


def test_a_domain_beyond_ascii_needs_a_conversion() -> None:
    with pytest.raises(AddressError, match=r"^expected a domain, got .*: only ASCII is taken here"):
        parse_address("ann@bücher.test")


def test_what_a_conversion_gives_is_read_as_strictly() -> None:
    with pytest.raises(AddressError, match="expected a domain"):
        parse_domain("bücher.test", to_ascii=lambda _: "a b\r\n")


@pytest.mark.parametrize("text", ["bob@here.test", '"a b"@[192.0.2.1]', "jürgen@bücher.test"])
def test_the_text_of_an_address_reads_as_the_same_address(text: str) -> None:
    address = parse_address(text, fake_to_ascii)

    assert parse_address(str(address)) == address


def test_two_spellings_of_a_domain_are_one_and_two_of_a_local_part_are_two() -> None:
    assert parse_address("ann@HERE.test") == parse_address("ann@here.TEST")
    assert parse_address("Ann@here.test") != parse_address("ann@here.test")


@pytest.mark.parametrize(("text", "is_ascii"), [("a@bücher.test", True), ("é@here.test", False)])
def test_only_a_local_part_can_keep_an_address_from_being_ascii(text: str, is_ascii: bool) -> None:
    assert parse_address(text, fake_to_ascii).is_ascii is is_ascii


@pytest.mark.parametrize(
    ("domain", "ip"),
    [
        ("[192.0.2.1]", "192.0.2.1"),
        ("[IPv6:2001:db8::1]", "2001:db8::1"),
        ("here.test", None),
        ("192.0.2.1", None),
    ],
)
def test_the_ip_address_in_a_literal(domain: str, ip: str | None) -> None:
    assert literal_ip(domain) == ip
