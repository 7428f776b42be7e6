"""The report to a sender whose mail could not be delivered (RFC 3464, RFC 6522, RFC 3834).

Whatever a peer said is text here: escaped to printable ASCII, on one line, bounded.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime

from mta.model.address import Address
from mta.model.envelope import Client, Envelope, MessageId, Recipient, Submission
from mta.model.outcome import Outcome, Verdict

MAX_HEADER = 64 * 1024  # octets of the original's header that a report carries

_WIDTH = 76  # columns of the part for people

# What a person can do about it, by enhanced status without its class (RFC 3463); the more
# exact entry first.
_ADVICE = (
    ("1.1", "There is no such mailbox. Check the address for typing errors."),
    ("1.2", "The domain does not exist or takes no mail. Check the part after the @."),
    ("1.10", "The domain says that it takes no mail at all. Check the part after the @."),
    ("2.1", "The mailbox is disabled. Reach the recipient in another way."),
    ("2.2", "The mailbox is full. Try again later, or reach the recipient in another way."),
    ("2.3", "The message is too large for the mailbox. Send less, or a link."),
    ("3.4", "The message is too large for the receiving system. Send less, or a link."),
    ("4.6", "The recipient's mail system sends mail around in a circle. Tell its administrator."),
    ("6.3", "The receiving system cannot take 8-bit mail. Send plain ASCII."),
    ("6.7", "The receiving system does not know addresses with such letters."),
    ("7.", "The receiving system refused it by its policy. Its words above may say why."),
)
_GAVE_UP = "It was tried again and again without success. Sending it once more may help."
_UNKNOWN = "Its words above may say why."


def report_for(
    envelope: Envelope,
    failed: Sequence[int],
    header: bytes,
    id: MessageId,
    hostname: str,
    now: float,
) -> Submission:
    """The report about these places of `envelope`, addressed to its sender.

    `header` is the original's header section. `envelope.sender` must not be the null sender:
    what has it is never reported (RFC 5321 §4.5.5). `now` is in Unix seconds.
    """
    assert envelope.sender is not None, "no report about a message from the null sender"
    recipients = [envelope.recipients[place] for place in failed]
    boundary = f"report-{id}"
    parts = (
        _head(envelope.sender, recipients, boundary, id, hostname, now),
        _part(boundary, "text/plain; charset=us-ascii"),
        "".join(_plain_words(envelope, recipients, hostname)).encode(),
        _part(boundary, "message/delivery-status"),
        "".join(_delivery_status(envelope, recipients, hostname, now)).encode(),
        _part(boundary, "text/rfc822-headers", is_8bit=not header.isascii()),
        _bounded(header),
        f"\r\n--{boundary}--\r\n".encode(),
    )
    return Submission(
        sender=None,
        recipients=(envelope.sender,),
        content=b"".join(parts),
        client=Client(address="local", helo=hostname, protocol="local"),
        is_smtputf8=not envelope.sender.is_ascii,
    )


def _head(
    sender: Address,
    recipients: Sequence[Recipient],
    boundary: str,
    id: MessageId,
    hostname: str,
    now: float,
) -> bytes:
    first = ascii_text(str(recipients[0].address))
    others = f" and {len(recipients) - 1} more" if len(recipients) > 1 else ""
    return _lines(
        f"From: Mail Delivery System <MAILER-DAEMON@{hostname}>",
        f"To: <{sender}>",
        f"Subject: Not delivered: your message to {first}{others}",
        f"Date: {_date(now)}",
        f"Message-ID: <{id}@{hostname}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"',
        "",
        "This is a report in MIME format (RFC 3464).",
    ).encode()


def _part(boundary: str, content_type: str, *, is_8bit: bool = False) -> bytes:
    encoding = ["Content-Transfer-Encoding: 8bit"] if is_8bit else []
    return _lines("", f"--{boundary}", f"Content-Type: {content_type}", *encoding, "").encode()


def _plain_words(
    envelope: Envelope, recipients: Sequence[Recipient], hostname: str
) -> Iterator[str]:
    yield _lines(
        f"This is the mail server {hostname}. Your message of",
        f"{_date(envelope.accepted_at)} could not be delivered to:",
    )
    for recipient in recipients:
        yield _lines("", f"  {ascii_text(str(recipient.address))}")
        for line in _wrapped(_what_happened(recipient), indent="    "):
            yield _lines(line)
        yield _lines(*_wrapped(_advice(recipient), indent="    "))
    yield _lines(
        "",
        "No further attempt is made for these recipients. The header of your",
        f"message is attached; in this server's log it is {envelope.id}.",
    )


def _what_happened(recipient: Recipient) -> str:
    outcome = recipient.last
    if outcome is None:
        return "The time to deliver it ran out before it could be tried."
    words = ascii_text(str(outcome.reply) if outcome.is_from_peer else outcome.reply.text)
    if outcome.is_from_peer and outcome.host is not None:
        return f"{outcome.host.name} said: {words}"
    return f"{words[:1].upper()}{words[1:]}."


def _advice(recipient: Recipient) -> str:
    if recipient.last is None or recipient.last.verdict is Verdict.DEFERRED:
        return _GAVE_UP
    kind = recipient.last.reply.status.partition(".")[2]
    return next((advice for prefix, advice in _ADVICE if _is_of(kind, prefix)), _UNKNOWN)


def _is_of(kind: str, prefix: str) -> bool:
    return kind.startswith(prefix) if prefix.endswith(".") else kind == prefix


def _delivery_status(
    envelope: Envelope, recipients: Sequence[Recipient], hostname: str, now: float
) -> Iterator[str]:
    yield _lines(
        f"Reporting-MTA: dns; {hostname}",
        f"X-Queue-ID: {envelope.id}",
        f"Arrival-Date: {_date(envelope.accepted_at)}",
    )
    for recipient in recipients:
        yield _lines("", f"Final-Recipient: {_typed(recipient.address)}", "Action: failed")
        yield from _status_fields(recipient.last)
        yield _lines(f"Last-Attempt-Date: {_date(now)}")


def _status_fields(outcome: Outcome | None) -> Iterator[str]:
    if outcome is None:
        yield _lines("Status: 4.4.7")  # delivery time expired, RFC 3463 §3.5
        return
    yield _lines(f"Status: {outcome.reply.status}")
    if outcome.host is not None:
        yield _lines(f"Remote-MTA: dns; {outcome.host.name}")
    kind = "smtp" if outcome.is_from_peer else "x-mta"
    words = str(outcome.reply) if outcome.is_from_peer else outcome.reply.text
    yield _lines(f"Diagnostic-Code: {kind}; {ascii_text(words)}")


def _typed(address: Address) -> str:
    """The address with its type; beyond ASCII in the 7-bit form of RFC 6533 §3."""
    if address.is_ascii:
        return f"rfc822; {address}"
    escaped = "".join(
        c if c.isascii() and c != "\\" else rf"\x{{{ord(c):X}}}" for c in str(address)
    )
    return f"utf-8; {escaped}"


def ascii_text(text: str) -> str:
    """`text` as printable ASCII on one line; the rest as backslash escapes."""
    escaped = text.encode("ascii", "backslashreplace").decode()
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in escaped)


def _wrapped(text: str, indent: str) -> Iterator[str]:
    line = indent
    for word in text.split():
        if len(line) + len(word) + 1 > _WIDTH and line != indent:
            yield line
            line = indent
        line += word if line == indent else f" {word}"
    yield line


def _bounded(header: bytes) -> bytes:
    if len(header) <= MAX_HEADER:
        return header
    return header[: header.rindex(b"\r\n", 0, MAX_HEADER) + 2]


def _lines(*lines: str) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def _date(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(at, UTC))
