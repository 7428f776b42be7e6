"""What became of mail in the sandbox, and whether that is what should have become of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from email import message_from_bytes

import dkim

from mta.sandbox.characters import Expected, Fate
from mta.sandbox.exchangers import Received
from mta.sandbox.process import Event

TextRecord = Callable[[str], bytes | None]  # a name's TXT record, None without one


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of the mail to one recipient, by the server's events and by what arrived.

    `tls` is the version that the receiver saw, `dkim` is "pass" or "fail"; both are "" where
    nothing arrived. `seconds` have passed since the message was accepted.
    """

    recipient: str
    fate: str
    status: str
    attempts: int
    road: str
    tls: str
    dkim: str
    seconds: float

    def mistakes(self, expected: Expected) -> Iterator[str]:
        """Where this is not what should have become of it, in words."""
        if self.fate != expected.fate:
            yield f"expected it {expected.fate}, found it {self.fate}"
        if not self.status.startswith(expected.status):
            yield f"expected status {expected.status}, found {self.status}"
        if expected.attempts not in (None, self.attempts):
            yield f"expected {expected.attempts} attempts, found {self.attempts}"
        if self.road != expected.road:
            yield f"expected it by the {expected.road} road, found it by the {self.road} road"
        if expected.fate is Fate.DELIVERED and bool(self.tls) != expected.tls:
            yield f"expected {'TLS' if expected.tls else 'no TLS'}, found {self.tls or 'none'}"
        if expected.fate is Fate.DELIVERED and self.dkim != "pass":
            yield f"expected its DKIM signature to pass, found {self.dkim or 'no message'}"


def finding(
    recipient: str, events: Sequence[Event], mail: Sequence[Received], text_record: TextRecord
) -> Finding:
    """What the last of `events`, all of one message, and `mail` tell of this recipient."""
    end = [
        event
        for event in events
        if event.get("recipient") == recipient and event["event"] in set(Fate)
    ][-1]
    arrived = [each for each in mail if recipient in each.recipients]
    return Finding(
        recipient=recipient,
        fate=end["event"],
        status=end["reply"]["status"],
        attempts=end["attempts"],
        road=end["road"],
        tls=(arrived[0].tls or "") if arrived else "",
        dkim=dkim_verdict(arrived[0].content, text_record) if arrived else "",
        seconds=end["seconds"],
    )


def dkim_verdict(content: bytes, text_record: TextRecord) -> str:
    """ "pass" or "fail": what dkimpy says with the public key that is published."""

    def record(name: bytes, timeout: float = 0) -> bytes | None:
        return text_record(name.decode())

    try:
        return "pass" if dkim.verify(content, dnsfunc=record) else "fail"
    except dkim.DKIMException:  # no message that it can read
        return "fail"


def mistakes_in_reports(
    reports: Sequence[bytes], failures: Sequence[Expected], text_record: TextRecord
) -> Iterator[str]:
    """Where the reports are not about these failures, in words."""
    told: dict[str, str] = {}
    for report in reports:
        told |= reported(report)
        if dkim_verdict(report, text_record) != "pass":
            yield f"the report about {', '.join(reported(report))} has no valid DKIM signature"
    for expected in failures:
        status = told.pop(expected.recipient, None)
        if status is None:
            yield f"{expected.recipient}: expected a report, found none"
        elif not status.startswith(expected.status):
            yield f"{expected.recipient}: expected {expected.status} in the report, found {status}"
    yield from (f"{recipient}: reported as failed, and did not fail" for recipient in told)


def reported(content: bytes) -> dict[str, str]:
    """The recipients that a report names, each with its status (RFC 3464 §2.3)."""
    return {
        group["Final-Recipient"].partition(";")[2].strip(): group["Status"]
        for group in message_from_bytes(content).walk()
        if "Final-Recipient" in group
    }


def words_for_people(content: bytes) -> str:
    """The first text in a report, which is for people (RFC 6522 §3)."""
    parts = message_from_bytes(content).walk()
    text = next(part for part in parts if part.get_content_type() == "text/plain")
    return str(text.get_payload())
