"""What a program wrote for sendmail(1), made into a message and an envelope.

The server completes more of it when it takes it (`rules.message.headers`): this is what only the
caller's side knows.
"""

import re
from collections.abc import Callable
from email.utils import formataddr, formatdate

from mta.model.address import Address, refuse_unicode

from mta.rules.message.headers import Header, read_header
from mta.rules.message.mailboxes import MailboxError, mailboxes

_FROM_LINES = re.compile(
    rb"(?:>*From [^\n]*\n)+"
)  # of a mailbox file, and as they are quoted there
_NEWLINE = re.compile(rb"\r\n|\n|\r")
_DOT = re.compile(rb"(?:\A|(?<=\n))\.\r?(?:\n|\Z)")
_RECIPIENT_FIELDS = (b"to", b"cc", b"bcc")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def text_of(octets: bytes, *, ends_at_dot: bool) -> bytes:
    """The message in what came by standard input: CRLF lines, without a mailbox's From lines.

    With `ends_at_dot` a line that holds a dot alone ends it.
    """
    found = _DOT.search(octets) if ends_at_dot else None
    if found is not None:
        octets = octets[: found.start()]
    mailbox = _FROM_LINES.match(octets)
    if mailbox is not None:
        octets = octets[mailbox.end() :]
    text = _NEWLINE.sub(b"\r\n", octets)
    return text if not text or text.endswith(b"\r\n") else text + b"\r\n"


def recipients_in(
    header: Header,
    *,
    hostname: Callable[[], str],
    to_ascii: Callable[[str], str] = refuse_unicode,
) -> list[Address]:
    """Whom To, Cc and Bcc name; where there are Resent- fields of these, whom those name alone.

    Raises MailboxError, which names the field.
    """
    names = {field.name for field in header.fields}
    resent = [b"resent-" + name for name in _RECIPIENT_FIELDS]
    wanted = _RECIPIENT_FIELDS if names.isdisjoint(resent) else resent
    found: list[Address] = []
    for field in header.fields:
        if field.name not in wanted:
            continue
        octets = header.content[field.start : field.end].partition(b":")[2]
        try:
            text = octets.replace(b"\r\n", b"").decode("utf-8", "replace").strip()
            found += mailboxes(text, hostname=hostname, to_ascii=to_ascii)
        except MailboxError as error:
            raise MailboxError(f"{field.name.decode().title()}: {error}") from error
    return found


def completed_by_author(
    header: Header,
    sender: Address | None,
    *,
    full_name: str,
    hostname: Callable[[], str],
    now: float,
) -> bytes:
    """The message with From and Date where it has none; `now` is in Unix seconds."""
    names = {field.name for field in header.fields}
    added = b""
    if b"date" not in names:
        added += f"Date: {formatdate(now, localtime=True)}\r\n".encode()
    if b"from" not in names:
        added += b"From: " + _author(sender, full_name, hostname) + b"\r\n"
    if not added or header.content.startswith(b"\r\n", header.end):
        return added + header.content
    # What begins with no field is a body: the blank line keeps it from being read as one of ours.
    fields, body = header.content[: header.end], header.content[header.end :]
    return added + fields + b"\r\n" + body


def with_key(header: Header, key: str) -> Header:
    """The message with this Idempotency-Key, unless it has one."""
    if b"idempotency-key" in {field.name for field in header.fields}:
        return header
    return read_header(b"Idempotency-Key: " + key.encode("ascii") + b"\r\n" + header.content)


def _author(sender: Address | None, full_name: str, hostname: Callable[[], str]) -> bytes:
    address = str(sender) if sender is not None else f"MAILER-DAEMON@{hostname()}"
    name = _CONTROL.sub(" ", full_name).encode("utf-8", "replace").decode()[:100].strip()
    if not address.isascii():  # formataddr refuses these (RFC 6532 lets them stand as they are)
        return f"<{address}>".encode()
    return formataddr((name, address)).encode("ascii")
