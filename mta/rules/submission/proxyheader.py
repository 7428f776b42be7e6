"""The PROXY header, by which a proxy says for whom it connects (HAProxy's PROXY protocol, 1 and 2).

It comes before everything else on a connection, in a line of text (version 1) or in binary
(version 2). Whether to believe it is for the caller to know.
"""

import re
import struct
from ipaddress import IPv4Address, IPv6Address

from mta.model.value import value

MAX_LENGTH = 4_096  # octets of a whole header; most of a long one are extensions that we skip
SHORTEST = 15  # of a whole header

_MAX_LINE = 107  # with its CRLF, §2.1
_LINE_BEGINS = b"PROXY "
_LINE = re.compile(
    rb"PROXY TCP([46]) ([0-9A-Fa-f:.]{2,45}) ([0-9A-Fa-f:.]{2,45})"
    rb" (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n"
)
_LINE_OF_NOBODY = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n")

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED = 16  # octets before the addresses: signature, version, family, length
_LOCAL, _PROXY = 0x20, 0x21  # version 2 and a command
_TCP4, _TCP6, _UNIX = 0x11, 0x21, 0x31
_ADDRESSES = {0x00: 0, _TCP4: 12, _TCP6: 36, _UNIX: 216}  # their length by what they are


@value
class ProxyHeader:
    """A whole header of `length` octets.

    `source` is the IP address of the client. None: the proxy speaks for itself (a health check),
    or for somebody without one.
    """

    length: int
    source: str | None


@value
class Partial:
    """The beginning of a header: at least so many octets more belong to it."""

    missing: int


@value
class Malformed:
    """No header, and no beginning of one."""

    reason: str


def parse_proxy_header(data: bytes) -> ProxyHeader | Partial | Malformed:
    """The header that `data` begins with.

    Who reads what is `missing`, again and again, never reads beyond the header's end.
    """
    if not data:
        return Partial(SHORTEST)
    if _is_beginning(data, _LINE_BEGINS):
        return _parse_line(data)
    if _is_beginning(data, _SIGNATURE):
        return _parse_binary(data)
    return Malformed(f"expected a PROXY header, found {_shown(data)}")


def _is_beginning(data: bytes, of: bytes) -> bool:
    return of.startswith(data[: len(of)])


def _parse_line(data: bytes) -> ProxyHeader | Partial | Malformed:
    end = data.find(b"\r\n", 0, _MAX_LINE) + 2
    if end == 1 and len(data) >= _MAX_LINE:
        return Malformed(f"expected a PROXY header of {_MAX_LINE} octets, found a longer one")
    if end == 1:
        return Partial(_missing_of_line(data))
    line = data[:end]
    if _LINE_OF_NOBODY.fullmatch(line):
        return ProxyHeader(end, None)
    found = _LINE.fullmatch(line)
    source = _source(found) if found else None
    if source is None:
        return Malformed(f"expected PROXY TCP4, TCP6 or UNKNOWN, found {_shown(line)}")
    return ProxyHeader(end, source)


def _missing_of_line(data: bytes) -> int:
    least = 1 if data.endswith(b"\r") or len(data) == _MAX_LINE - 1 else 2
    return max(least, SHORTEST - len(data))


def _source(found: re.Match[bytes]) -> str | None:
    """The first address of a line; None where anything of it is out of range."""
    kind = IPv4Address if found[1] == b"4" else IPv6Address
    try:
        source, _ = (kind(found[place].decode("ascii")) for place in (2, 3))
    except ValueError:
        return None
    return _written(source) if max(int(found[4]), int(found[5])) <= 65_535 else None


def _parse_binary(data: bytes) -> ProxyHeader | Partial | Malformed:
    if len(data) < _FIXED:
        return Partial(_FIXED - len(data))
    command, kind, rest = struct.unpack_from(">BBH", data, len(_SIGNATURE))
    length = _FIXED + rest
    if command not in (_LOCAL, _PROXY):
        return Malformed(f"expected version 2, LOCAL or PROXY, found 0x{command:02x}")
    if length > MAX_LENGTH:
        return Malformed(f"expected a header of {MAX_LENGTH} octets at most, found {length}")
    if command == _PROXY and kind not in _ADDRESSES:
        return Malformed(f"expected TCP or nothing to be carried, found 0x{kind:02x}")
    if command == _PROXY and rest < _ADDRESSES[kind]:
        return Malformed(f"expected {_ADDRESSES[kind]} octets of addresses, found {rest}")
    if len(data) < length:
        return Partial(length - len(data))
    return ProxyHeader(length, _binary_source(kind, data) if command == _PROXY else None)


def _binary_source(kind: int, data: bytes) -> str | None:
    if kind == _TCP4:
        return _written(IPv4Address(data[_FIXED : _FIXED + 4]))
    if kind == _TCP6:
        return _written(IPv6Address(data[_FIXED : _FIXED + 16]))
    return None


def _written(address: IPv4Address | IPv6Address) -> str:
    """An address as it is written; one of IPv4 as that, however it came."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _shown(data: bytes) -> str:
    return ascii(data[:40])
