"""Logging in by AUTH (RFC 4954): what the client says in PLAIN (RFC 4616) and LOGIN, read strictly.

LOGIN stands in no RFC, and is what many a program still prefers. SCRAM is not here: see
docs/decisions.md.
"""

import binascii
import re
import unicodedata
from dataclasses import field
from enum import StrEnum

from mta.model.outcome import Reply
from mta.model.value import value

_BASE64 = re.compile(rb"[A-Za-z0-9+/]*+={0,2}")

MAX_NAME = 255  # octets of a user's name
MAX_PASSWORD = 4_096  # octets: to bring longer ones into one spelling can take long

MAX_RESPONSE = 12_288  # octets of a line with its CRLF, RFC 4954 §4.3

_CANCELLED = Reply(501, "Login cancelled", 7, 0)
_NOT_BASE64 = Reply(501, "Expected base64", 5, 2)
_NOT_PLAIN = Reply(501, "Expected a name and a password, with NUL before each, in UTF-8", 5, 2)
_NOT_TEXT = Reply(501, "Expected UTF-8 without control characters", 5, 2)
_NO_COMMAND = Reply(501, "Expected AUTH, a mechanism, and its first response if any", 5, 4)
_OTHER_MECHANISM = Reply(504, "Expected AUTH PLAIN or AUTH LOGIN", 5, 4)
_OTHER_IDENTITY = Reply(535, "Nobody may act for another user here", 7, 8)


class Mechanism(StrEnum):
    """The ways to log in, in the order in which they are offered."""

    PLAIN = "PLAIN"
    LOGIN = "LOGIN"


@value
class Credentials:
    """What somebody claims to be and to know; the password is never shown."""

    name: str
    password: str = field(repr=False)


@value
class Challenge:
    """What the client is to answer to."""

    text: str

    @property
    def line(self) -> bytes:
        """It as a reply, with its CRLF."""
        return b"334 " + binascii.b2a_base64(self.text.encode(), newline=False) + b"\r\n"


class Exchange:
    """One AUTH command and what follows, until there are credentials or a refusal."""

    def __init__(self, mechanism: Mechanism) -> None:
        self._mechanism = mechanism
        self._name: str | None = None  # LOGIN asks for it first

    def begin(self) -> Challenge:
        """What is said where the command brought no response with it."""
        return Challenge("" if self._mechanism is Mechanism.PLAIN else "Username:")

    def hear(self, line: bytes) -> Challenge | Credentials | Reply:
        """Go on with a response as it came, without its CRLF."""
        if line == b"*":
            return _CANCELLED
        response = _decoded(line)
        if response is None:
            return _NOT_BASE64
        if self._mechanism is Mechanism.PLAIN:
            return _plain(response)
        return self._login(response)

    def _login(self, response: bytes) -> Challenge | Credentials | Reply:
        text = _text(response, MAX_NAME if self._name is None else MAX_PASSWORD)
        if text is None:
            return _NOT_TEXT
        if self._name is not None:
            return Credentials(self._name, prepared_password(text))
        self._name = prepared_name(text)
        return Challenge("Password:")


def start(argument: str) -> tuple[Exchange, bytes | None] | Reply:
    """Read what stands behind AUTH: the exchange that begins, and its first response if one came.

    A response that is empty is written as "=" (RFC 4954 §4).
    """
    words = argument.split(" ")
    if not 1 <= len(words) <= 2 or not words[0]:
        return _NO_COMMAND
    try:
        exchange = Exchange(Mechanism(words[0].upper()))
    except ValueError:
        return _OTHER_MECHANISM
    if len(words) == 1:
        return exchange, None
    if words[1] == "*" or not words[1].isascii():  # there is nothing to cancel yet
        return _NOT_BASE64
    return exchange, b"" if words[1] == "=" else words[1].encode("ascii")


def prepared_name(text: str) -> str:
    """A user's name in one spelling, whatever keyboard it was typed on (after RFC 8265 §3.3)."""
    return unicodedata.normalize("NFC", text.lower())


def prepared_password(text: str) -> str:
    """A password in one spelling (RFC 8265 §4.2): its letters count, not how they were composed."""
    spaced = "".join(" " if unicodedata.category(c) == "Zs" else c for c in text)
    return unicodedata.normalize("NFC", spaced)


def _plain(response: bytes) -> Credentials | Reply:
    """Read what PLAIN says: who to act as, NUL, the name, NUL, the password (RFC 4616 §2)."""
    parts = response.split(b"\0")
    if len(parts) != 3:
        return _NOT_PLAIN
    identity, name = (_text(part, MAX_NAME) for part in parts[:2])
    password = _text(parts[2], MAX_PASSWORD)
    if identity is None or not (name and password):
        return _NOT_PLAIN
    if identity and prepared_name(identity) != prepared_name(name):
        return _OTHER_IDENTITY
    return Credentials(prepared_name(name), prepared_password(password))


def _decoded(line: bytes) -> bytes | None:
    """What base64 stands for; None where it is none, to the letter (RFC 4954 §4.1)."""
    if len(line) % 4 or not _BASE64.fullmatch(line):  # Python forgives too much padding
        return None
    try:
        return binascii.a2b_base64(line, strict_mode=True)
    except binascii.Error:
        return None


def _text(octets: bytes, limit: int) -> str | None:
    """A name or a password; None where it can be neither."""
    if len(octets) > limit:
        return None
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return None
    is_clean = all(unicodedata.category(character) != "Cc" for character in text)
    return text if is_clean else None
