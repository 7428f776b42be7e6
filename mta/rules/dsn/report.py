"""The report to a sender: what failed, what takes long, what was passed on for good.

Whatever a peer or a client said is text here: escaped to printable ASCII, and wrapped, so that
it begins no line, field or part. Lines are of seven bits and keep within RFC 5322 §2.1.1, so
that whatever server can take mail can take a report; only a sender's own address may need more,
and a message in eight bits that comes back whole because its sender asked for that.
"""

import zlib
from collections.abc import Sequence

from mta.model.address import Address
from mta.model.envelope import Client, Envelope, MessageId, Recipient, Submission
from mta.model.request import NOTHING, MessageRequest
from mta.model.text import printable_ascii
from mta.model.value import value

from mta.rules.dsn import status, words
from mta.rules.dsn.lines import date, lines
from mta.rules.dsn.original import Enclosure, enclosure
from mta.rules.dsn.owed import Action

_SUBJECTS = {
    Action.FAILED: "Not delivered",
    Action.RELAYED: "Passed on",
    Action.DELAYED: "Not delivered yet",
}
_LETTERS = {Action.FAILED: "r", Action.RELAYED: "s"}


@value
class Occasion:
    """What a report is about: some recipients of a message, and what is said of them.

    `places` are theirs, at least one. `now` is in Unix seconds, as is `until`: when we give up.
    """

    envelope: Envelope
    action: Action
    places: Sequence[int]
    hostname: str
    now: float
    until: float

    @property
    def id(self) -> MessageId:
        """The id of the report: the same for the same recipients, after a crash too.

        And another for others, since a report about more of the message is no repeat. A delay
        is told once for a message, whoever is left in it; or for each that sees a sender of its
        own.
        """
        if self.action is Action.DELAYED:
            place = self.places[0] if self.envelope.request.is_verp else ""
            return MessageId(f"{self.envelope.id}d{place}")
        places = tuple(self.places)
        which = f"x{zlib.crc32(repr(places).encode()):08x}" if len(places) > 1 else ""
        return MessageId(f"{self.envelope.id}{_LETTERS[self.action]}{places[0]}{which}")

    @property
    def recipients(self) -> list[Recipient]:
        """Whom it is about."""
        return [self.envelope.recipients[place] for place in self.places]


def report_for(occasion: Occasion, content: bytes) -> Submission:
    """The report, addressed to the message's sender, which must not be the null sender.

    What has the null sender is never reported (RFC 5321 §4.5.5). `content` is the message's
    own, or b"" where it cannot be read.
    """
    sender, asked = occasion.envelope.sender, occasion.envelope.request
    assert sender is not None, "no report about a message from the null sender"
    enclosed = enclosure(occasion.envelope, occasion.action, content)
    boundary = f"report-{occasion.id}"  # no message knows the id of its report in advance
    parts = (
        _head(occasion, sender, boundary),
        _part(boundary, "text/plain; charset=us-ascii"),
        _for_people(occasion, enclosed).encode(),
        _part(boundary, "message/delivery-status"),
        _for_programs(occasion).encode(),
        _part(boundary, enclosed.content_type, enclosed.encoding),
        enclosed.octets,
        f"\r\n--{boundary}--\r\n".encode(),
    )
    return Submission(
        sender=None,
        recipients=(sender,),
        content=b"".join(parts),
        client=Client(address="local", helo=occasion.hostname, protocol="local"),
        is_smtputf8=not sender.is_ascii,
        # It tells of what was to be protected (RFC 8689 §5).
        request=MessageRequest(needs_tls=True) if asked.needs_tls else NOTHING,
    )


def _head(occasion: Occasion, sender: Address, boundary: str) -> bytes:
    recipients, hostname = occasion.recipients, occasion.hostname
    first = printable_ascii(str(recipients[0].address))
    others = f" and {len(recipients) - 1} more" if len(recipients) > 1 else ""
    return lines(
        f"From: Mail Delivery System <MAILER-DAEMON@{hostname}>",
        f"To: <{sender}>",
        f"Subject: {_SUBJECTS[occasion.action]}: your message to {first}{others}",
        f"Date: {date(occasion.now)}",
        f"Message-ID: <{occasion.id}@{hostname}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"',
        "",
        "This is a report in MIME format (RFC 3464).",
    ).encode()


def _part(boundary: str, content_type: str, encoding: str = "7bit") -> bytes:
    return lines(
        "",
        f"--{boundary}",
        f"Content-Type: {content_type}",
        f"Content-Transfer-Encoding: {encoding}",
        "",
    ).encode()


def _for_people(occasion: Occasion, enclosed: Enclosure) -> str:
    envelope, action = occasion.envelope, occasion.action
    return "".join(
        (
            words.beginning(action, envelope.accepted_at, occasion.hostname),
            *words.about_recipients(action, occasion.recipients),
            words.ending(action, occasion.until, enclosed.words, envelope.id),
        )
    )


def _for_programs(occasion: Occasion) -> str:
    return "".join(
        (
            *status.about_message(occasion.envelope, occasion.hostname),
            *status.about_recipients(
                occasion.action, occasion.recipients, now=occasion.now, until=occasion.until
            ),
        )
    )
