"""Whatever comes, a PROXY header is read to its end and no further, and the pieces do not matter.

Invariants: nothing is ever raised; what is asked for never reaches beyond the header; a header
that is whole stays what it is whatever comes behind it; a source is an IP address as it is written.
"""

import struct
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from mta.rules.submission.proxyheader import (
    MAX_LENGTH,
    Malformed,
    Partial,
    ProxyHeader,
    parse_proxy_header,
)

ADDRESSES = st.ip_addresses().map(str) | st.text("0123456789abcdef:.%/", max_size=45)
PORTS = st.integers(-1, 70_000).map(str) | st.sampled_from(["00", "+1", ""])
LINES = st.builds(
    lambda words, end: " ".join(words).encode() + end,
    st.tuples(
        st.just("PROXY"),
        st.sampled_from(["TCP4", "TCP6", "UNKNOWN", "UDP4", ""]),
        ADDRESSES,
        ADDRESSES,
        PORTS,
        PORTS,
    ),
    st.sampled_from([b"\r\n", b"\n", b"\r", b""]),
)
BINARIES = st.builds(
    lambda command, kind, length, rest: (
        b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(">BBH", command, kind, length) + rest
    ),
    st.sampled_from([0x20, 0x21]) | st.integers(0, 255),
    st.sampled_from([0x00, 0x11, 0x12, 0x21, 0x31]) | st.integers(0, 255),
    st.integers(0, 300) | st.integers(0, 65_535),
    st.binary(max_size=400),
)
DATA = st.binary(max_size=200) | LINES | BINARIES


@given(DATA, st.binary(max_size=20))
def test_a_header_is_read_as_it_is_asked_for(data: bytes, behind: bytes) -> None:
    stream = data + behind
    seen = b""
    while isinstance(found := parse_proxy_header(seen), Partial):
        assert found.missing > 0
        if len(seen) == len(stream):
            return
        seen = stream[: len(seen) + found.missing]
        assert len(seen) <= MAX_LENGTH

    if isinstance(found, ProxyHeader):
        assert found.length == len(seen)
        assert found.source is None or str(ip_address(found.source)) == found.source
        assert parse_proxy_header(stream) == found
        assert parse_proxy_header(seen + b"anything") == found


@given(DATA, st.integers(0, 500))
def test_what_is_malformed_is_so_from_its_first_bad_octet_on(data: bytes, cut: int) -> None:
    if isinstance(parse_proxy_header(data[:cut]), Malformed):
        assert isinstance(parse_proxy_header(data), Malformed)
