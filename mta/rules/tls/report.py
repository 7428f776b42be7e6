"""The daily report to a domain on the TLS of its hosts, and who is to have it (RFC 8460).

Who is to have it is a stranger's word: so many receivers at most, and no address but a mailbox or
the name of a host of the Web.
"""

import gzip
import json
import re
import zlib
from base64 import encodebytes
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from mta.model.address import Address, AddressError, parse_address, refuse_unicode
from mta.model.envelope import Client, MessageId, Submission
from mta.model.request import Deadline, Late, MessageRequest, Notice, RecipientRequest
from mta.model.tlsreport import Counted, Failing, PolicyKind
from mta.model.value import value

from mta.rules.tls.tally import DAY

MAX_RECEIVERS = 2  # of one domain's reports, RFC 8460 §3 leaves it to us
MEDIA_TYPE = "application/tlsrpt+gzip"
_RECORD = re.compile(r"v=TLSRPTv1[ \t]*(?:;|$)")
_HTTPS_PORT = 443
_UNASKED = RecipientRequest(notices=frozenset((Notice.NEVER,)))


@value
class Reporting:
    """Who reports: as receivers see it. `sender` is whom the reports come from."""

    organization: str
    contact: str
    sender: Address


@value
class Receivers:
    """Who wants a domain's reports."""

    mailboxes: tuple[Address, ...] = ()
    urls: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.mailboxes or self.urls)


def record_name(domain: str) -> str:
    """Where a domain says who is to have its reports."""
    return f"_smtp._tls.{domain}"


def receivers_in(
    texts: Iterable[str],
    to_ascii: Callable[[str], str] = refuse_unicode,
    *,
    port: int = _HTTPS_PORT,
) -> Receivers:
    """Who is named in a domain's TXT records; nobody where there is not one right record (§3).

    Of many the first count. `port` is the one that a URL may name.
    """
    records = [text for text in texts if _RECORD.match(text)]
    if len(records) != 1:
        return Receivers()
    mailboxes: list[Address] = []
    urls: list[str] = []
    for uri in _named(records[0])[:MAX_RECEIVERS]:
        if uri.lower().startswith("mailto:"):
            mailboxes += _mailbox(uri, to_ascii)
        elif _is_postable(uri, port):
            urls.append(uri)
    return Receivers(tuple(mailboxes), tuple(urls))


def _named(record: str) -> list[str]:
    for term in record.split(";"):
        name, equals, text = term.strip(" \t").partition("=")
        if equals and name == "rua":
            return [uri.strip(" \t") for uri in text.split(",")]
    return []


def _mailbox(uri: str, to_ascii: Callable[[str], str]) -> list[Address]:
    try:
        return [parse_address(unquote(uri[len("mailto:") :].partition("?")[0]), to_ascii)]
    except AddressError:
        return []


def _is_postable(uri: str, port: int) -> bool:
    """Whether it is a URL of a host with a name: an address would be asked of no resolver."""
    if not uri.isascii() or not uri.isprintable() or " " in uri:
        return False
    try:
        parts = urlsplit(uri)
        wanted = parts.port
    except ValueError:
        return False
    name = parts.hostname or ""
    is_name = "." in name and ":" not in name and not name.rpartition(".")[2][:1].isdigit()
    return (
        parts.scheme == "https" and is_name and "@" not in parts.netloc and wanted in (None, port)
    )


def report_id(day: int, domain: str, tag: str = "") -> MessageId:
    """The id of a report: the same whenever it is made. `tag` sets several reporters apart."""
    return MessageId(f"t{day}x{zlib.crc32(f'{domain}/{tag}'.encode()):08x}")


def report_for(
    reporting: Reporting, id: str, domain: str, day: int, counted: Sequence[Counted]
) -> bytes:
    """The report in JSON (§4), of what was counted of one domain on one day."""
    report = {
        "organization-name": reporting.organization,
        "date-range": {
            "start-datetime": _moment(day * DAY),
            "end-datetime": _moment((day + 1) * DAY - 1),
        },
        "contact-info": reporting.contact,
        "report-id": f"{_moment(day * DAY)[:10]}.{domain}.{id}",
        "policies": [_policy(one) for one in counted],
    }
    return json.dumps(report, indent=1).encode()


def _policy(counted: Counted) -> dict[str, object]:
    applied = counted.applied
    policy: dict[str, object] = {"policy-type": str(applied.kind), "policy-domain": applied.domain}
    if applied.kind is not PolicyKind.NONE:
        policy["policy-string"] = list(applied.lines)
    if applied.mx:
        policy["mx-host"] = list(applied.mx)
    found: dict[str, object] = {
        "policy": policy,
        "summary": {
            "total-successful-session-count": counted.successes,
            "total-failure-session-count": sum(count for _, count in counted.failures),
        },
    }
    if counted.failures:
        found["failure-details"] = [_failure(*one) for one in counted.failures]
    return found


def _failure(failing: Failing, count: int) -> dict[str, object]:
    named = {
        "receiving-mx-hostname": failing.host,
        "receiving-ip": failing.address,
        "failure-reason-code": failing.text,
    }
    given = {name: text for name, text in named.items() if text}
    return {"result-type": str(failing.kind), **given, "failed-session-count": count}


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def packed(report: bytes) -> bytes:
    """The same as gzip; equal for equal reports."""
    return gzip.compress(report, mtime=0)


@value
class Occasion:
    """One report, on its way by mail: `now` is in Unix seconds."""

    id: MessageId
    domain: str
    day: int
    hostname: str
    now: float


def mail_for(
    occasion: Occasion, reporting: Reporting, recipients: tuple[Address, ...], content: bytes
) -> Submission:
    """The message that brings a report, `content` (gzip), to its receivers (§5.3).

    It goes whatever is wrong with their TLS (§3), for a day at most, and nobody is told if it
    does not arrive.
    """
    client = Client(address="local", helo=occasion.hostname, protocol="local")
    return Submission(
        sender=reporting.sender,
        recipients=recipients,
        content=_message(occasion, reporting, recipients, content),
        client=client,
        request=MessageRequest(
            waives_tls=True, deadline=Deadline(occasion.now + DAY, if_late=Late.DROP)
        ),
        requests=(_UNASKED,) * len(recipients),
    )


def _message(
    occasion: Occasion, reporting: Reporting, recipients: Sequence[Address], content: bytes
) -> bytes:
    submitter, domain = occasion.hostname, occasion.domain
    begins_at = occasion.day * DAY
    name = f"{submitter}!{domain}!{begins_at}!{begins_at + DAY - 1}!{occasion.id}.json.gz"
    boundary = f"report-{occasion.id}"  # base64 and our own words have no such line
    lines = (
        f"From: <{reporting.sender}>",
        "To: " + ",\r\n ".join(f"<{recipient}>" for recipient in recipients),
        f"Subject: Report Domain: {domain}\r\n Submitter: {submitter}"
        f"\r\n Report-ID: <{occasion.id}@{submitter}>",
        f"TLS-Report-Domain: {domain}",
        f"TLS-Report-Submitter: {submitter}",
        "TLS-Required: No",
        f"Date: {format_datetime(datetime.fromtimestamp(occasion.now, UTC))}",
        f"Message-ID: <{occasion.id}@{submitter}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type="tlsrpt";\r\n\tboundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This is an aggregate TLS report from {submitter}",
        f"on {_moment(begins_at)[:10]} (RFC 8460).",
        "",
        f"--{boundary}",
        f"Content-Type: {MEDIA_TYPE}",
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment;\r\n\tfilename="{name}"',
        "",
    )
    head = "".join(f"{line}\r\n" for line in lines).encode()
    body = encodebytes(content).replace(b"\n", b"\r\n")
    return b"".join((head, body, f"\r\n--{boundary}--\r\n".encode()))
