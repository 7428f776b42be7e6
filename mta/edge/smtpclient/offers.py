"""What a peer offers in its answer to EHLO (RFC 5321 §4.1.1.1)."""

from dataclasses import dataclass
from functools import lru_cache

from aiosmtplib.esmtp import parse_esmtp_extensions

from mta.rules.delivery.limits import NO_LIMITS, Limits, limits_in

from mta.edge.smtpclient.replies import RawReply

_DIGITS = 20  # RFC 1870 §4


@dataclass(frozen=True, slots=True)
class Offers:
    """The extensions that matter to us. `size_limit` is in octets, 0 where none was announced."""

    has_starttls: bool = False
    has_pipelining: bool = False
    has_8bitmime: bool = False
    has_smtputf8: bool = False
    has_requiretls: bool = False
    has_dsn: bool = False
    has_deliverby: bool = False
    least_by: int = 0  # seconds that a message with a deadline must have left, RFC 2852 §3
    has_priority: bool = False
    limits: Limits = NO_LIMITS
    has_size: bool = False
    size_limit: int = 0
    login_methods: tuple[str, ...] = ()


NO_OFFERS = Offers()  # what HELO brings


@lru_cache(maxsize=64)  # a host says the same each time, in at most wire.MAX_OCTETS
def offers_in(reply: RawReply) -> Offers:
    """Read the answer to EHLO. Whatever cannot be read is not offered."""
    message = "\n".join(line.decode("ascii", "replace") for line in reply.lines)
    extensions, login_methods = parse_esmtp_extensions(message)
    return Offers(
        has_starttls="starttls" in extensions,
        has_pipelining="pipelining" in extensions,
        has_8bitmime="8bitmime" in extensions,
        has_smtputf8="smtputf8" in extensions,
        has_requiretls="requiretls" in extensions,
        has_dsn="dsn" in extensions,
        has_deliverby="deliverby" in extensions,
        least_by=_number(extensions.get("deliverby", "").partition(",")[0]),
        has_priority="mt-priority" in extensions,
        limits=limits_in(extensions["limits"]) if "limits" in extensions else NO_LIMITS,
        has_size="size" in extensions,
        size_limit=_number(extensions.get("size", "")),
        login_methods=tuple(login_methods),
    )


def _number(text: str) -> int:
    """A number that a peer announced, 0 for what is none."""
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS:
        return int(text)
    return 0
