"""How settings are written: durations, sizes, places and networks, read from their text.

Each reader takes what YAML or the environment gave and raises ValueError with the words
"expected ..." where that is not what it reads; what was found is added by whoever reports it.
"""

import ipaddress
import re
from collections.abc import Mapping

from mta.model.address import parse_domain
from mta.model.listener import Endpoint, Handed, Network, Place, UnixSocket

from mta.edge.idn import to_ascii

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_OCTETS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]{1,3})")

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_SELECTOR = re.compile(rf"(?=.{{1,128}}$){_LABEL}(?:\.{_LABEL})*")


class UnknownHost(ValueError):
    """The text is neither a name nor an IP address."""


def read_duration(value: object) -> float:
    """Seconds, from a number with a unit (15m) or a plain 0."""
    return round(_quantity(value, _SECONDS, "expected a duration such as 15m"), 6)


def read_size(value: object) -> int:
    """Octets, from a number with a unit (25MiB) or a plain 0."""
    return int(_quantity(value, _OCTETS, "expected a size such as 25MiB"))


def shown_duration(seconds: float) -> str | int:
    """Seconds as they would be written: 900.0 is 15m."""
    return _shown(
        round(seconds * 1000), {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
    )


def shown_size(octets: int) -> str | int:
    """Octets as they would be written: 26214400 is 25MiB."""
    return _shown(octets, {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "B": 1})


def read_endpoint(value: object) -> Endpoint:
    """A place to listen at; port 0 means any that is free."""
    if isinstance(value, Endpoint):
        return value
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    try:
        is_unclear = ":" in host and not host.startswith("[")  # which colon begins the port?
        return Endpoint(read_host("" if is_unclear else host), read_port(port, least=0))
    except UnknownHost as error:
        raise ValueError("expected host:port such as 127.0.0.1:8025 or [::1]:8025") from error


def read_place(value: object) -> Place:
    """A place to listen at: host:port, unix:PATH, or systemd:NAME for a socket of that name."""
    if isinstance(value, Endpoint | UnixSocket | Handed):
        return value
    kind, _, rest = value.partition(":") if isinstance(value, str) else ("", "", "")
    if kind == "unix":
        return UnixSocket(_path(rest))
    if kind == "systemd":
        return Handed(_name(rest))
    try:
        return read_endpoint(value)
    except ValueError as error:
        if "host:port" not in str(error):
            raise
        raise ValueError(f"{error}, or unix:PATH, or systemd:NAME") from error


def read_mode(value: object) -> int:
    """A file's mode, from its octal digits in quotes: YAML would read 0660 as 432."""
    if not isinstance(value, str) or not re.fullmatch("0?[0-7]{3}", value):
        raise ValueError('expected a mode in quotes such as "0660"')
    return int(value, 8)


def shown_mode(mode: int) -> str:
    """A mode as it would be written: 432 is 0660."""
    return f"{mode:04o}"


_FINGERPRINT = re.compile(r"(?:sha256[:=])?((?:[0-9a-f]{2}:?){31}[0-9a-f]{2})", re.IGNORECASE)


def read_fingerprint(value: object) -> str:
    """A SHA-256 in hexadecimal digits, in pairs with or without colons; gives it without."""
    found = _FINGERPRINT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("expected a SHA-256 in 64 hexadecimal digits, with or without colons")
    return found[1].replace(":", "").lower()


def read_nameserver(value: object) -> Endpoint:
    """A DNS server by its IP address, with or without a port (53)."""
    if isinstance(value, Endpoint):
        return value
    text = value if isinstance(value, str) else ""
    if _is_ip(_unbracketed(text)):
        return Endpoint(_unbracketed(text), 53)
    host, _, port = text.rpartition(":")
    if not _is_ip(_unbracketed(host)):
        raise ValueError("expected an IP address such as 192.0.2.53 or [2001:db8::53]:5353")
    return Endpoint(_unbracketed(host), read_port(port, least=1))


def read_source(value: object) -> str:
    """One IP address of ours, to connect from."""
    text = _unbracketed(value) if isinstance(value, str) else ""
    if not _is_ip(text) or "%" in text:
        raise ValueError("expected an IP address such as 192.0.2.1 or 2001:db8::1")
    address = ipaddress.ip_address(text)
    if address.is_unspecified or address.is_multicast:
        raise ValueError("expected an address of this machine")
    return str(address)


def read_network(value: object) -> Network:
    """An IP network in CIDR notation, or one address."""
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    try:
        return ipaddress.ip_network(str(value))
    except ValueError as error:
        reason = ", without host bits" if "host bits" in str(error) else ""
        raise ValueError(f"expected a network such as 192.0.2.0/24{reason}") from error


def read_host(value: object) -> str:
    """A server by its name or its IP address."""
    text = _unbracketed(value) if isinstance(value, str) else ""
    if _is_ip(text):
        return text
    try:
        return read_domain(text)
    except ValueError as error:
        raise UnknownHost("expected a host such as smtp.example.com") from error


def read_domain(value: object) -> str:
    """A domain name in lower-case A-labels, from these or from Unicode (IDNA 2008)."""
    try:
        domain = parse_domain(str(value).removesuffix("."), to_ascii)
    except ValueError as error:
        raise ValueError("expected a domain such as example.com") from error
    if not isinstance(value, str) or domain.startswith("["):
        raise ValueError("expected a domain such as example.com")
    return domain


def read_selector(value: object) -> str:
    """A DKIM selector: labels with dots between them (RFC 6376 §3.1)."""
    if not isinstance(value, str) or not _SELECTOR.fullmatch(value):
        raise ValueError("expected a selector such as s1 (a number wants quotes)")
    return value.lower()


def _quantity(value: object, units: Mapping[str, float], expected: str) -> float:
    text = "" if isinstance(value, bool) else str(value)
    if text == "0":
        return 0.0
    found = _QUANTITY.fullmatch(text)
    if found is None or found[2].lower() not in units:
        raise ValueError(expected)
    return float(found[1]) * units[found[2].lower()]


def _shown(number: int, units: Mapping[str, int]) -> str | int:
    unit = next((unit for unit, size in units.items() if number and number % size == 0), None)
    return f"{number // units[unit]}{unit}" if unit else number


def _unbracketed(text: str) -> str:
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def _path(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("expected a path after unix:, as in unix:/run/mta/submit.sock")
    return text


def _name(text: str) -> str:
    # As systemd has them: FileDescriptorName= in systemd.socket(5).
    if not 1 <= len(text) <= 255 or not text.isascii() or not text.isprintable() or ":" in text:
        raise ValueError("expected a socket's name after systemd:, as in systemd:submission")
    return text


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def read_port(text: str, least: int) -> int:
    """A port, from its digits."""
    port = int(text) if re.fullmatch(r"[0-9]{1,5}", text) else -1
    if not least <= port <= 65535:
        raise ValueError(f"expected a port from {least} to 65535 after the last colon")
    return port
