"""What can be read of a certificate without trusting it: its public key, and names that match.

A certificate is DER, in which each thing can be written in one way alone (X.690 §10). Whatever is
written otherwise is refused here, lest somebody else find another key in it than we do.
"""

from collections.abc import Collection, Iterable

_INTEGER, _SEQUENCE, _VERSION = 0x02, 0x30, 0xA0  # tags
_BEFORE_KEY = (_INTEGER, _SEQUENCE, _SEQUENCE, _SEQUENCE, _SEQUENCE)  # serial number to subject
_LONGEST_LENGTH = 4  # octets


class NoCertificate(ValueError):
    """These octets are no certificate in DER."""


def public_key_of(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo in a certificate, exactly as it stands there (RFC 5280 §4.1).

    Raises NoCertificate.
    """
    at, end = _element(certificate, 0, _SEQUENCE, len(certificate))
    if end != len(certificate):
        raise NoCertificate(f"{len(certificate) - end} octets too many")
    at, end = _element(certificate, at, _SEQUENCE, end)  # what is signed
    if certificate[at : at + 1] == bytes([_VERSION]):
        _, at = _element(certificate, at, _VERSION, end)
    for tag in _BEFORE_KEY:
        _, at = _element(certificate, at, tag, end)
    _, end = _element(certificate, at, _SEQUENCE, end)
    return certificate[at:end]


def is_sequence(octets: bytes) -> bool:
    """Whether they may be a certificate or a public key: one SEQUENCE in DER, and nothing more."""
    try:
        _, end = _element(octets, 0, _SEQUENCE, len(octets))
    except NoCertificate:
        return False
    return end == len(octets)


def _element(octets: bytes, at: int, tag: int, limit: int) -> tuple[int, int]:
    """Where the content of the element at `at` begins and ends, which is to end by `limit`."""
    if at + 2 > limit or octets[at] != tag:
        raise NoCertificate(f"expected an element with tag {tag:#04x} at octet {at}")
    begin, length = at + 2, octets[at + 1]
    if length >= 0x80:
        octets_of_length = length - 0x80
        begin += octets_of_length
        length = int.from_bytes(octets[at + 2 : begin])
        shortest = (length.bit_length() + 7) // 8
        if not (length >= 0x80 and octets_of_length == shortest <= _LONGEST_LENGTH):
            raise NoCertificate(f"expected the shortest form of a length at octet {at + 1}")
    if begin + length > limit:
        raise NoCertificate(f"the element at octet {at} is longer than what holds it")
    return begin, begin + length


def is_named(names: Collection[str], presented: Iterable[str]) -> bool:
    """Whether a certificate with these DNS names is one for a host with one of `names`.

    `names` are in lower case. A "*" stands for one whole label, the first (RFC 9525 §6.3), with two
    more behind it at least.
    """
    return any(_matches(name, pattern.lower()) for pattern in presented for name in names)


def _matches(name: str, pattern: str) -> bool:
    label, _, rest = pattern.partition(".")
    if label != "*":
        return name == pattern
    return "." in rest and name.partition(".")[2] == rest
