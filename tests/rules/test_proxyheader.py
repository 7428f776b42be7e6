"""PROXY headers: what is one, for whom it speaks, and where it ends (HAProxy's PROXY protocol)."""

import struct

import pytest

from mta.rules.submission.proxyheader import (
    MAX_LENGTH,
    Malformed,
    Partial,
    ProxyHeader,
    parse_proxy_header,
)

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V4 = bytes([192, 0, 2, 1, 198, 51, 100, 2, 0x9C, 0x40, 0, 25])
V6 = bytes.fromhex("20010db800000000000000000000000120010db8000000000000000000000002") + V4[8:]
LONGEST_V6 = b":".join([b"ffff"] * 8)


def binary(command: int, kind: int, rest: bytes) -> bytes:
    return SIGNATURE + struct.pack(">BBH", command, kind, len(rest)) + rest


WHOLE = {
    b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 25\r\n": "192.0.2.1",
    b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n": "255.255.255.255",
    b"PROXY TCP6 2001:db8::1 2001:db8::2 0 25\r\n": "2001:db8::1",
    b"PROXY TCP6 2001:DB8:0:0::1 ::2 0 25\r\n": "2001:db8::1",
    b"PROXY TCP6 ::ffff:192.0.2.1 ::2 1 25\r\n": "192.0.2.1",
    b"PROXY TCP6 " + LONGEST_V6 + b" " + LONGEST_V6 + b" 65535 65535\r\n": LONGEST_V6.decode(),
    b"PROXY UNKNOWN\r\n": None,
    b"PROXY UNKNOWN " + LONGEST_V6 + b" " + LONGEST_V6 + b" 65535 65535\r\n": None,
    b"PROXY UNKNOWN whatever \0\xff\r\n": None,
    binary(0x21, 0x11, V4): "192.0.2.1",
    binary(0x21, 0x11, V4 + b"\x04\0\x03abc"): "192.0.2.1",  # an extension
    binary(0x21, 0x11, V4 + bytes(MAX_LENGTH - 16 - 12)): "192.0.2.1",
    binary(0x21, 0x21, V6): "2001:db8::1",
    binary(0x21, 0x21, bytes(10) + b"\xff\xff" + V4[:4] + bytes(20)): "192.0.2.1",
    binary(0x21, 0x31, bytes(216)): None,  # somebody on the proxy's own machine
    binary(0x21, 0x00, b""): None,
    binary(0x21, 0x00, b"extension"): None,
    binary(0x20, 0x00, b""): None,  # a health check
    binary(0x20, 0x11, V4): None,
    binary(0x20, 0xFF, b"ignored"): None,
}


@pytest.mark.parametrize(("header", "source"), WHOLE.items())
@pytest.mark.parametrize("behind", [b"", b"EHLO c\r\n", b"\x16\x03\x01", b"\r\n", b"PROXY "])
def test_a_header_says_for_whom_the_proxy_connects(
    header: bytes, source: str | None, behind: bytes
) -> None:
    assert parse_proxy_header(header + behind) == ProxyHeader(len(header), source)


@pytest.mark.parametrize("header", WHOLE)
def test_its_beginning_asks_for_no_more_than_there_is(header: bytes) -> None:
    for length in range(len(header)):
        found = parse_proxy_header(header[:length])
        assert isinstance(found, Partial)
        assert 0 < found.missing <= len(header) - length


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"EHLO client.test\r\n", "expected a PROXY header, found b'EHLO client.test"),
        (b"\x16\x03\x01", "expected a PROXY header, found b'\\x16"),
        (b"proxy TCP4", "expected a PROXY header"),
        (b"PROXY  TCP4 192.0.2.1 192.0.2.2 1 25\r\n", "expected PROXY TCP4, TCP6 or UNKNOWN"),
        (b"PROXY\r\n", "expected a PROXY header"),
        (b"PROXY TCP4\r\n", "TCP4, TCP6 or UNKNOWN"),
        (b"PROXY TCP5 192.0.2.1 192.0.2.2 1 25\r\n", "TCP4, TCP6 or UNKNOWN"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25 \r\n", "TCP4, TCP6 or UNKNOWN"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", "TCP4, TCP6 or UNKNOWN"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 -1 25\r\n", "TCP4, TCP6 or UNKNOWN"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 025\r\n", "TCP4, TCP6 or UNKNOWN"),
        (b"PROXY TCP4 192.0.2.01 192.0.2.2 1 25\r\n", "TCP4, TCP6 or UNKNOWN"),
        (b"PROXY TCP4 192.0.2 192.0.2.2 1 25\r\n", "TCP4, TCP6 or UNKNOWN"),
        (b"PROXY TCP4 192.0.2.1 here 1 25\r\n", "TCP4, TCP6 or UNKNOWN"),
        (b"PROXY TCP4 2001:db8::1 ::2 1 25\r\n", "TCP4, TCP6 or UNKNOWN"),
        (b"PROXY TCP6 192.0.2.1 192.0.2.2 1 25\r\n", "TCP4, TCP6 or UNKNOWN"),
        (b"PROXY TCP6 fe80::1%eth0 ::2 1 25\r\n", "TCP4, TCP6 or UNKNOWN"),
        (b"PROXY UNKNOWN\n\r\n", "TCP4, TCP6 or UNKNOWN"),
        (b"PROXY UNKNOWN" + b" " * 93 + b"\r\n", "of 107 octets, found a longer one"),
        (b"PROXY " + b"x" * 101, "of 107 octets, found a longer one"),
        (SIGNATURE + b"\x11\x11\0\x0c", "expected version 2, LOCAL or PROXY, found 0x11"),
        (SIGNATURE + b"\x22\x11\0\x0c", "expected version 2, LOCAL or PROXY, found 0x22"),
        (SIGNATURE + b"\x21\x12\0\x0c", "expected TCP or nothing to be carried, found 0x12"),
        (SIGNATURE + b"\x21\x01\0\x0c", "expected TCP or nothing to be carried, found 0x01"),
        (SIGNATURE + b"\x21\x41\0\x0c", "expected TCP or nothing to be carried, found 0x41"),
        (SIGNATURE + b"\x21\x11\0\x0b", "expected 12 octets of addresses, found 11"),
        (SIGNATURE + b"\x21\x21\0\x23", "expected 36 octets of addresses, found 35"),
        (SIGNATURE + b"\x21\x31\0\xd7", "expected 216 octets of addresses, found 215"),
        (SIGNATURE + b"\x21\x11\xff\xff", "of 4096 octets at most, found 65551"),
        (SIGNATURE + b"\x20\x00\xff\xff", "of 4096 octets at most, found 65551"),
        (SIGNATURE[:-1] + b"\r", "expected a PROXY header"),
    ],
)
def test_what_is_no_header_is_named(data: bytes, reason: str) -> None:
    found = parse_proxy_header(data)

    assert isinstance(found, Malformed)
    assert reason in found.reason


def test_what_is_named_is_short_and_fit_for_a_log() -> None:
    found = parse_proxy_header(b"\x1b[2J\n" + b"\xff" * 5_000)

    assert isinstance(found, Malformed)
    assert found.reason.isascii()
    assert found.reason.isprintable()
    assert len(found.reason) < 250
