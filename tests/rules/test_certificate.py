import pytest

from mta.rules.tls.certificate import NoCertificate, is_named, is_sequence, public_key_of

from tests.pki import authority, issued

ROOT = authority("root")
HOST = issued("mx", "mx.there.test", by=ROOT)


def test_the_public_key_is_found_as_it_stands_in_a_certificate() -> None:
    for one in (ROOT, HOST):
        assert public_key_of(one.der) == one.spki


def test_every_octet_less_or_more_is_no_certificate() -> None:
    for end in range(len(HOST.der)):
        with pytest.raises(NoCertificate):
            public_key_of(HOST.der[:end])
    with pytest.raises(NoCertificate):
        public_key_of(HOST.der + b"\0")


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30",
        b"\x31\x00",  # a SET
        b"\x30\x80\x00\x00",  # without a length, as BER has it
        b"\x30\x81\x01\x05",  # a length that could be shorter
        b"\x30\x82\x00\x81" + b"a" * 0x81,
        b"\x30\x85\x00\x00\x00\x00\x01a",
        b"\x30\xff" + b"\xff" * 127,
        b"\x30\x05\x02\x01\x05",  # longer than what is there
        b"\x30\x03\x02\x01\x05\x00",
    ],
)
def test_what_is_not_written_as_der_has_it_is_no_sequence(octets: bytes) -> None:
    assert not is_sequence(octets)
    with pytest.raises(NoCertificate):
        public_key_of(octets)


def test_a_sequence_is_one() -> None:
    assert is_sequence(HOST.der)
    assert is_sequence(HOST.spki)
    assert is_sequence(b"\x30\x00")


@pytest.mark.parametrize(
    ("presented", "matches"),
    [
        ("mx.there.test", True),
        ("MX.There.Test", True),
        ("*.there.test", True),
        ("*.test", False),
        ("*", False),
        ("*.", False),
        ("m*.there.test", False),
        ("*mx.there.test", False),
        ("mx.*.test", False),
        ("*.mx.there.test", False),
        ("there.test", False),
        (".there.test", False),
        ("", False),
        ("mx.there.test.", False),
        ("mx.there.test\0.evil.test", False),
    ],
)
def test_a_name_matches_itself_and_a_star_for_its_first_label(
    presented: str, matches: bool
) -> None:
    assert is_named(["other.test", "mx.there.test"], [presented]) is matches


def test_no_name_matches_nothing() -> None:
    assert not is_named([], ["mx.there.test"])
    assert not is_named(["mx.there.test"], [])
