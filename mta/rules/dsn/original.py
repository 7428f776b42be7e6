"""The part of a report that gives the message back: its header, or all of it (RFC 6522 §3)."""

import re
from binascii import b2a_qp

from mta.model.envelope import Envelope
from mta.model.request import Returned
from mta.model.value import value

from mta.rules.dsn.owed import Action
from mta.rules.message.headers import header_of

MAX_HEADER = 64 * 1024  # octets of the original's header that a report carries
MAX_WHOLE = 50_000  # octets of a message that comes back whole: Postfix's bounce_size_limit

_LONG_LINE = re.compile(rb"[^\n]{999}")  # RFC 5322 §2.1.1: 998 octets and a CRLF


@value
class Enclosure:
    """What is enclosed, and how it is declared. `words` name it to people."""

    content_type: str
    encoding: str
    octets: bytes
    words: str


def enclosure(envelope: Envelope, action: Action, content: bytes) -> Enclosure:
    """What of the message goes with a report; `content` is b"" where it cannot be had.

    All of it where RET=FULL asks for that, with a failure (RFC 3461 §4.3), and where it is not
    too long and can go as it is: no encoding is allowed for message/rfc822 (RFC 2046 §5.2.1).
    """
    header = header_of(content)
    # RFC 6533 §3: a header in UTF-8 has types of its own.
    is_international = envelope.needs_smtputf8 and not header.isascii()
    asked = envelope.request
    wants_all = action is Action.FAILED and asked.returned is Returned.FULL
    if asked.needs_tls:  # RFC 8689 §5
        wants_all = False
    if wants_all and 0 < len(content) <= MAX_WHOLE and not _LONG_LINE.search(content):
        kind = "message/global" if is_international else "message/rfc822"
        encoding = "7bit" if content.isascii() else "8bit"
        return Enclosure(kind, encoding, content, "Your message")
    kind = "message/global-headers" if is_international else "text/rfc822-headers"
    octets, encoding = _in_seven_bits(_bounded(header))
    return Enclosure(kind, encoding, octets, "The header of your message")


def _bounded(header: bytes) -> bytes:
    if len(header) <= MAX_HEADER:
        return header
    end = header.rfind(b"\r\n", 0, MAX_HEADER)
    return header[: end if end > 0 else MAX_HEADER] + b"\r\n"


def _in_seven_bits(header: bytes) -> tuple[bytes, str]:
    """The header in lines that every server takes, and how it is encoded."""
    if header.isascii() and not _LONG_LINE.search(header):
        return header, "7bit"
    return b2a_qp(header), "quoted-printable"
