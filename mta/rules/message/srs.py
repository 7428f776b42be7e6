"""Senders of forwarded mail, rewritten so that SPF holds and bounces find their way back (SRS).

    ann@there.test                        the sender of a message that we pass on
    SRS0=h4sh0=ba=there.test=ann@here     our sender: a hash, the day, and who it was
    SRS1=h4sh1=here==h4sh0=ba=there.test=ann@next     and that of the next who passes it on

Whoever sends to such an address reaches the first sender again, but nobody else: the hash is made
with a secret, so nobody can make addresses that we would pass mail on to, and the day ends them.
There is no RFC: the form is that of libsrs2 and PostSRSd, the hash is longer.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field

from mta.model.address import MAX_LOCAL, Address, AddressError, parse_address

DAY = 86_400
MAX_AGE = 21  # days until an address ends: longer than anybody tries to deliver a bounce
_HASH = 6  # characters of base32: 30 bits
_DAYS = 32 * 32  # after which the two characters of a day begin again
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"

_FIRST = re.compile(r"(?i)SRS0[=+-]([a-z2-7]{6})=([a-z2-7]{2})=([^=@]+)=(.+)")
_NEXT = re.compile(r"(?i)SRS1[=+-]([a-z2-7]{6})=([^=@]+)=([=+-].+)")
_THEIRS = re.compile(r"(?i)SRS0([=+-].+)")  # another's: what is in it is his affair
_THEIRS_NEXT = re.compile(r"(?i)SRS1[=+-][^=]*=([^=@]+)=([=+-].+)")


@dataclass(frozen=True, slots=True)
class Srs:
    """How senders are rewritten: below which domain, and with which secret."""

    domain: str
    secret: bytes = field(repr=False)

    def is_ours(self, address: Address) -> bool:
        """Whether it looks like one that we made."""
        return address.domain == self.domain and address.local[:4].upper() in ("SRS0", "SRS1")

    def forward(self, sender: Address, now: float) -> Address | None:
        """The sender to pass a message on with; None where it does not fit into an address.

        `now` is in Unix seconds. One of the domain itself needs no other.
        """
        if sender.domain == self.domain:
            return sender
        local = self._next(sender) or self._first(sender, now)
        return Address(local, self.domain) if len(local.encode()) <= MAX_LOCAL else None

    def reverse(self, address: Address, now: float) -> Address | str:
        """Who a bounce to one of our addresses is for; or why it is for nobody."""
        if (found := _FIRST.fullmatch(address.local)) is not None:
            stamp, day, domain, local = found.groups()
            if not self._is_good(stamp, day + domain + local):
                return "its hash is wrong"
            if (_day(now) - _number(day)) % _DAYS > MAX_AGE:
                return f"it ended {MAX_AGE} days after it was made"
            return _read(f"{local}@{domain}")
        if (found := _NEXT.fullmatch(address.local)) is not None:
            stamp, domain, rest = found.groups()
            if not self._is_good(stamp, domain + rest):
                return "its hash is wrong"
            return _read(f"SRS0{rest}@{domain}")
        return "it is none that we made"

    def _first(self, sender: Address, now: float) -> str:
        day = _letters(_day(now))
        stamp = self._hash(day + sender.domain + sender.local)
        return f"SRS0={stamp}={day}={sender.domain}={sender.local}"

    def _next(self, sender: Address) -> str | None:
        """For a sender that another has rewritten: its first forwarder is kept, nobody between."""
        if (found := _THEIRS.fullmatch(sender.local)) is not None:
            domain, rest = sender.domain, found[1]
        elif (found := _THEIRS_NEXT.fullmatch(sender.local)) is not None:
            domain, rest = found[1], found[2]
        else:
            return None
        return f"SRS1={self._hash(domain + rest)}={domain}={rest}"

    def _hash(self, text: str) -> str:
        """Of the text in lower case: some servers change the case of local parts."""
        digest = hmac.digest(self.secret, text.lower().encode(), hashlib.sha256)
        return base64.b32encode(digest)[:_HASH].decode("ascii").lower()

    def _is_good(self, stamp: str, text: str) -> bool:
        return hmac.compare_digest(stamp.lower(), self._hash(text))


def _read(text: str) -> Address | str:
    try:
        return parse_address(text)
    except AddressError as error:
        return str(error)


def _day(now: float) -> int:
    return int(now) // DAY % _DAYS


def _letters(day: int) -> str:
    return _ALPHABET[day >> 5] + _ALPHABET[day & 31]


def _number(letters: str) -> int:
    return _ALPHABET.index(letters[0].lower()) << 5 | _ALPHABET.index(letters[1].lower())
