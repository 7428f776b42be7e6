"""The report to a sender whose mail could not be delivered (RFC 3464, RFC 6522, RFC 3834).

Whatever a peer said is text here: escaped to printable ASCII, and wrapped, so that it begins
no line, field or part. Lines are of seven bits and keep within RFC 5322 §2.1.1, so that whatever
server can take mail can take a report; only a sender's own address may need more.
"""

import re
import textwrap
import zlib
from binascii import b2a_qp
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime

from mta.model.address import Address
from mta.model.envelope import Client, Envelope, MessageId, Recipient, Submission
from mta.model.outcome import Outcome, Reply, Stage, Verdict
from mta.model.text import printable_ascii

MAX_HEADER = 64 * 1024  # octets of the original's header that a report carries

_WIDTH = 76  # columns
_LONG_LINE = re.compile(rb"[^\n]{999}")  # RFC 5322 §2.1.1: 998 octets and a CRLF

# What a person can do about it, by enhanced status without its class (RFC 3463).
_ADVICE = {
    (1, 1): "There is no such mailbox. Check the address for typing errors.",
    (1, 2): "The domain does not exist or takes no mail. Check the part after the @.",
    (1, 6): "The mailbox has moved. Ask the recipient for the new address.",
    (1, 10): "The domain says that it takes no mail at all. Check the part after the @.",
    (2, 1): "The mailbox is disabled. Reach the recipient in another way.",
    (2, 2): "The mailbox is full. Try again later, or reach the recipient in another way.",
    (2, 3): "The message is too large for the mailbox. Send less, or a link.",
    (3, 4): "The message is too large for the receiving system. Send less, or a link.",
    (4, 6): "The recipient's mail system sends mail around in a circle. Tell its administrator.",
    (6, 3): "The receiving system cannot take letters beyond plain ASCII. Do without them.",
    (6, 7): "The receiving system does not know addresses with such letters.",
}
_SEND_AGAIN = "Sending it once more may help."
_POLICY = "The receiving system refused it by its policy. Its words may say why:"
_UNKNOWN = "The receiving system refused it. Its words may say why:"


def report_id(original: MessageId, failed: Sequence[int]) -> MessageId:
    """The id of the report about these places: the same for the same ones, after a crash too.

    And another for others: a report about more of the message is no repeat.
    """
    which = f"x{zlib.crc32(repr(tuple(failed)).encode()):08x}" if len(failed) > 1 else ""
    return MessageId(f"{original}r{failed[0]}{which}")


def report_for(
    envelope: Envelope,
    failed: Sequence[int],
    header: bytes,
    id: MessageId,
    hostname: str,
    now: float,
) -> Submission:
    """The report about these places of `envelope`, at least one, addressed to its sender.

    `header` is the original's header section, or b"". `envelope.sender` must not be the null
    sender: what has it is never reported (RFC 5321 §4.5.5). `now` is in Unix seconds.
    """
    assert envelope.sender is not None, "no report about a message from the null sender"
    recipients = [envelope.recipients[place] for place in failed]
    boundary = f"report-{id}"  # no message knows the id of its report in advance
    shown, encoding = _enclosed(header)
    parts = (
        _head(envelope.sender, recipients, boundary, id, hostname, now),
        _part(boundary, "text/plain; charset=us-ascii"),
        "".join(_plain_words(envelope, recipients, hostname)).encode(),
        _part(boundary, "message/delivery-status"),
        "".join(_delivery_status(envelope, recipients, hostname, now)).encode(),
        _part(boundary, "text/rfc822-headers", encoding),
        shown,
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
    first = printable_ascii(str(recipients[0].address))
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


def _part(boundary: str, content_type: str, encoding: str = "7bit") -> bytes:
    return _lines(
        "",
        f"--{boundary}",
        f"Content-Type: {content_type}",
        f"Content-Transfer-Encoding: {encoding}",
        "",
    ).encode()


def _plain_words(
    envelope: Envelope, recipients: Sequence[Recipient], hostname: str
) -> Iterator[str]:
    yield _lines(
        f"This is the mail server {hostname}. Your message of",
        f"{_date(envelope.accepted_at)} could not be delivered to:",
    )
    for recipient in recipients:
        yield _lines("", f"  {printable_ascii(str(recipient.address))}")
        yield _lines(*_wrapped(_explanation(recipient), indent="    "))
        if recipient.last is not None:
            yield _lines(*_wrapped(_cause(recipient.last), indent="    "))
    yield _lines(
        "",
        "No further attempt is made for these recipients. The header of your",
        f"message is attached; in this server's log it is {envelope.id}.",
    )


def _explanation(recipient: Recipient) -> str:
    """What happened and what to do, for somebody who knows nothing of mail servers."""
    outcome = recipient.last
    if outcome is None or outcome.verdict is Verdict.DEFERRED:
        return f"{_effort(recipient.attempts)} {_advice(outcome) or _SEND_AGAIN}"
    if outcome.is_from_peer:
        return _advice(outcome) or (_POLICY if outcome.reply.subject == 7 else _UNKNOWN)
    return _advice(outcome)


def _effort(attempts: int) -> str:
    if attempts == 0:
        return "The time to deliver it ran out before it could be tried."
    times = "once" if attempts == 1 else f"{attempts} times"
    return f"It was tried {times}, until the time to deliver it ran out."


def _advice(outcome: Outcome | None) -> str:
    return _ADVICE.get((outcome.reply.subject, outcome.reply.detail), "") if outcome else ""


def _cause(outcome: Outcome) -> str:
    """The reason in the words of whoever gave it."""
    if outcome.is_from_peer:
        name = outcome.host.name if outcome.host else "The receiving system"
        return f"{name} said: {_peers_words(outcome.reply)}"
    return f"The reason: {outcome.reply.text.removesuffix('.')}."


def _peers_words(reply: Reply) -> str:
    """What the peer said; without the status 0.0, which it most likely did not say."""
    has_status = (reply.subject, reply.detail) != (0, 0)
    return str(reply) if has_status else f"{reply.code} {reply.text}"


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
        if recipient.attempts:
            yield _lines(f"Last-Attempt-Date: {_date(now)}")


def _status_fields(outcome: Outcome | None) -> Iterator[str]:
    if outcome is None:
        yield _lines("Status: 4.4.7")  # delivery time expired, RFC 3463 §3.5
        return
    yield _lines(f"Status: {outcome.reply.status}")
    if outcome.host is not None and outcome.stage not in _BEFORE_THE_PEER:
        yield _lines(*_wrapped(f"Remote-MTA: dns; {outcome.host.name}", hanging=" "))
    said = outcome.is_from_peer
    words = f"smtp; {_peers_words(outcome.reply)}" if said else f"x-mta; {outcome.reply.text}"
    yield _lines(*_wrapped(f"Diagnostic-Code: {words}", hanging=" "))


# Where no remote server has been involved yet, it must not be named (RFC 3464 §2.3.5).
_BEFORE_THE_PEER = (Stage.LOOKUP, Stage.CONNECT)


def _typed(address: Address) -> str:
    """The address with its type; beyond ASCII in the 7-bit form of RFC 6533 §3."""
    if address.is_ascii:
        return f"rfc822; {address}"
    escaped = "".join(c if _stands_for_itself(c) else rf"\x{{{ord(c):02X}}}" for c in str(address))
    return f"utf-8; {escaped}"


def _stands_for_itself(character: str) -> bool:
    return "!" <= character <= "~" and character not in "+=\\"


def _wrapped(text: str, *, indent: str = "", hanging: str = "") -> list[str]:
    """`text` in lines, the first after `indent`, the others after `indent` and `hanging`."""
    return textwrap.wrap(
        printable_ascii(text),
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_on_hyphens=False,
    )


def _enclosed(header: bytes) -> tuple[bytes, str]:
    """The header within its bound, and how it is encoded (RFC 6522 §4)."""
    if len(header) > MAX_HEADER:
        end = header.rfind(b"\r\n", 0, MAX_HEADER)
        header = header[: end if end > 0 else MAX_HEADER] + b"\r\n"
    if header.isascii() and not _LONG_LINE.search(header):
        return header, "7bit"
    return b2a_qp(header), "quoted-printable"


def _lines(*lines: str) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def _date(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(at, UTC))
