"""What speaks against the server after its crashes, each kind as a list that should be empty.

`sent` are the messages that clients began to send, `kills` the moments, in Unix seconds, at
which the server was killed. A message is never sent twice by a client.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Protocol

from mta.sandbox.process import Event
from tests.e2e.copies import Copy
from tests.e2e.traffic import Sent

# Between the final dot's arrival and the record of its 250 a kill makes the server send again.
# Measured it is a few hundredths of a second; the bound leaves room for a machine under load.
WINDOW = 0.5
SINK_LAG = 0.25  # seconds for which a final dot may lie in the sink's socket before it is read


class Evidence(Protocol):
    """All that came to the exchangers: the mail, and the reports to its senders."""

    @property
    def mail(self) -> Sequence[Copy]:
        """In the order in which it came."""

    @property
    def reports(self) -> Sequence[Copy]:
        """The same."""


def lost(sent: Sequence[Sent], sink: Evidence) -> list[tuple[str, str]]:
    """Accepted recipients that neither have the message nor stand in a report."""
    arrived = {(copy.test_id, who) for copy in sink.mail for who in copy.recipients}
    arrived |= {(copy.test_id, who) for copy in sink.reports for who in copy.failed}
    return [
        (message.test_id, recipient)
        for message in sent
        if message.id is not None
        for recipient in message.recipients
        if (message.test_id, recipient) not in arrived
    ]


def harmed(sent: Sequence[Sent], sink: Evidence) -> list[Copy]:
    """Messages at the sink that are not byte for byte what was sent."""
    digests = {message.test_id: message.digest for message in sent}
    return [copy for copy in sink.mail if copy.digest != digests.get(copy.test_id)]


def misguided(sent: Sequence[Sent], sink: Evidence) -> list[Copy]:
    """Mail for others than it was sent to, and reports that go or speak astray."""
    letters = {message.test_id: message for message in sent}
    return [
        copy
        for copy in sink.mail
        if not set(copy.recipients) <= set(letters[copy.test_id].recipients)
        or letters[copy.test_id].id not in (copy.id, None)
    ] + [
        copy
        for copy in sink.reports
        if copy.recipients != (letters[copy.test_id].sender,)
        or not set(copy.failed) <= set(letters[copy.test_id].recipients)
        or not all(who.startswith("no-") for who in copy.failed)
    ]


def repeats(copies: Sequence[Copy]) -> list[tuple[Copy, Copy]]:
    """Each copy that came after one for the same recipient, with that one before it."""
    by_recipient: defaultdict[tuple[str, str], list[Copy]] = defaultdict(list)
    for copy in copies:
        for recipient in copy.recipients:
            by_recipient[copy.test_id, recipient].append(copy)
    return [pair for row in by_recipient.values() for pair in pairwise(row)]


def lateness(first: Copy, kills: Sequence[float]) -> float:
    """How long after the reply to a message the next kill came; negative if it came before."""
    after = [kill for kill in kills if kill > first.whole_at - SINK_LAG]
    return min(after, default=float("inf")) - first.answered_at


def needless(
    copies: Sequence[Copy], kills: Sequence[float], window: float = WINDOW
) -> list[tuple[Copy, Copy]]:
    """Repeats although the server had the time to record that the first copy was taken.

    What had no reply is rightly sent again.
    """
    return [
        (first, second)
        for first, second in repeats(copies)
        if first.is_answered
        and (
            lateness(first, kills) > window
            or not any(first.whole_at - SINK_LAG < kill < second.whole_at for kill in kills)
        )
    ]


def undead(events: Iterable[Event], copies: Sequence[Copy]) -> list[Copy]:
    """Copies that came after the server had said that nothing was owed any more."""
    settled_at: dict[str, float] = {}
    for event in events:
        if event["event"] == "settled":
            at = datetime.fromisoformat(event["at"]).timestamp() + 0.001  # it has no more digits
            settled_at.setdefault(event["id"], at)
    return [copy for copy in copies if copy.whole_at > settled_at.get(copy.id, float("inf"))]
