"""Whatever peers said, a report reads as a report, and says no more than it was told to.

Invariants: three parts; one group of fields for each recipient, each field once; every line of
ours printable ASCII of at most 998 octets; the original, or its header, comes back as it went in.
"""

import email.policy
from email.message import EmailMessage, Message

from hypothesis import given
from hypothesis import strategies as st

from mta.model.address import Address
from mta.model.domain import Host
from mta.model.envelope import Envelope, MessageId, Recipient, State
from mta.model.outcome import Outcome, Scope, Stage, Verdict, parse_reply
from mta.model.request import MessageRequest, RecipientRequest, Returned

from mta.rules.dsn import Action, Occasion, report_for
from mta.rules.message.headers import header_of

PIECES = st.sampled_from(
    [
        *("\r\n", "\n", "\r", " ", "\t", "\0", "\x85", "\u2028", "\udcff", "é", "\U0001f600", "-"),
        *("--report-m1r0", "--", "X-Evil: 1", ":", ".", "=", "5.1.1 ", "x" * 300, "Action: x"),
    ]
)
WORDS = st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=80)
OUTCOMES = st.none() | st.builds(
    Outcome,
    st.sampled_from([Verdict.DEFERRED, Verdict.FAILED]),
    st.builds(parse_reply, st.integers(200, 599), WORDS),
    st.sampled_from(Stage),
    st.sampled_from(Scope),
    st.none() | st.builds(Host, WORDS, st.just("192.0.2.1"), st.just(25)),
    st.booleans(),
)
ACTIONS = st.sampled_from(Action)
# What the door lets through, and what it does not: a report trusts nobody.
XTEXT = st.lists(
    st.sampled_from(["+0D", "+0A", "+00", "+20", "+FF", "+2E", "+", "a", ":", "-", "=", "x" * 90])
).map("".join)
RECIPIENTS = st.builds(
    Recipient,
    st.builds(Address, st.sampled_from(["bob", '"b b"', "é+="]), st.just("there.test")),
    st.just(State.FAILED),
    st.integers(0, 9),
    last=OUTCOMES,
    request=st.builds(
        RecipientRequest,
        original=st.just("")
        | st.builds(
            ";".join, st.tuples(st.sampled_from(["rfc822", "utf-8", "x400"]), XTEXT | WORDS)
        ),
    ),
)
REQUESTS = st.builds(
    MessageRequest, returned=st.none() | st.sampled_from(Returned), envelope_id=XTEXT | WORDS
)
LINE = st.binary(max_size=40).map(lambda line: line.translate(None, b"\r\n\0"))
HEADERS = st.lists(LINE, max_size=6).map(
    lambda lines: header_of(b"".join(b"X: " + line + b"\r\n" for line in lines))
)
BODIES = st.just(b"") | st.lists(LINE, max_size=6).map(
    lambda lines: b"\r\n" + b"".join(line + b"\r\n" for line in lines)
)

OF_MESSAGE = {"Reporting-MTA", "X-Queue-ID", "Arrival-Date"}
OBLIGATORY = {"Final-Recipient", "Action", "Status"}
ALLOWED = OBLIGATORY | {
    *("Original-Recipient", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date"),
    "Will-Retry-Until",
}


@given(st.lists(RECIPIENTS, min_size=1, max_size=3), REQUESTS, HEADERS, BODIES, ACTIONS)
def test_a_report_is_a_report(
    recipients: list[Recipient],
    request: MessageRequest,
    header: bytes,
    body: bytes,
    action: Action,
) -> None:
    sender = Address("ann", "here.test")
    envelope = Envelope(MessageId("m1"), sender, tuple(recipients), 1e9, 1_000, request=request)
    occasion = Occasion(envelope, action, range(len(recipients)), "mail.here.test", 1e9, 2e9)

    content = report_for(occasion, header + body).content

    message = email.message_from_bytes(content, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    for_people, for_programs, original = message.iter_parts()
    about_message, *about_recipients = (set(block.keys()) for block in blocks(for_programs))
    assert for_people.get_content_type() == "text/plain"
    assert OF_MESSAGE <= about_message <= OF_MESSAGE | {"Original-Envelope-Id"}
    assert len(about_recipients) == len(recipients)
    assert all(OBLIGATORY <= names <= ALLOWED for names in about_recipients)
    is_whole = original.get_content_type() == "message/rfc822"
    if is_whole:
        assert request.returned is Returned.FULL
        assert action is Action.FAILED
        assert header + body in content
    else:
        assert (original.get_payload(decode=True) or b"") == header
    ours = content.replace(header + body, b"", 1) if is_whole else content
    for line in ours.replace(b"\t", b" ").split(b"\r\n"):
        assert line.decode("ascii").isprintable() or line in header
        assert len(line) <= 998


def blocks(part: Message) -> list[Message]:
    """The groups of fields of a delivery status; none has a field twice."""
    groups = part.get_payload()
    assert isinstance(groups, list)
    found = [group for group in groups if isinstance(group, Message)]
    assert all(len(group.keys()) == len(set(group.keys())) for group in found)
    return found
