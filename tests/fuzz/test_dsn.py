"""Whatever peers said, a report reads as a report, and says no more than it was told to.

Invariants: three parts; one group of fields for each recipient, each field once; every line
printable ASCII of at most 998 octets; the original's header comes back as it went in.
"""

import email.policy
from email.message import EmailMessage, Message

from hypothesis import given
from hypothesis import strategies as st

from mta.model.address import Address
from mta.model.domain import Host
from mta.model.envelope import Envelope, MessageId, Recipient, State
from mta.model.outcome import Outcome, Scope, Stage, Verdict, parse_reply

from mta.rules.dsn import report_for
from mta.rules.headers import header_of

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
RECIPIENTS = st.builds(
    Recipient,
    st.builds(Address, st.sampled_from(["bob", '"b b"', "é+="]), st.just("there.test")),
    st.just(State.FAILED),
    st.integers(0, 9),
    last=OUTCOMES,
)
LINE = st.binary(max_size=40).map(lambda line: line.translate(None, b"\r\n\0"))
HEADERS = st.lists(LINE, max_size=6).map(
    lambda lines: header_of(b"".join(b"X: " + line + b"\r\n" for line in lines))
)

OBLIGATORY = {"Final-Recipient", "Action", "Status"}
ALLOWED = OBLIGATORY | {"Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date"}


@given(st.lists(RECIPIENTS, min_size=1, max_size=3), HEADERS)
def test_a_report_is_a_report(recipients: list[Recipient], header: bytes) -> None:
    sender = Address("ann", "here.test")
    envelope = Envelope(MessageId("m1"), sender, tuple(recipients), 1e9, 1_000)
    places = range(len(recipients))

    content = report_for(envelope, places, header, MessageId("m1r0"), "mail.here.test", 1e9).content

    message = email.message_from_bytes(content, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    for_people, for_programs, original = message.iter_parts()
    about_message, *about_recipients = (set(block.keys()) for block in blocks(for_programs))
    assert for_people.get_content_type() == "text/plain"
    assert about_message == {"Reporting-MTA", "X-Queue-ID", "Arrival-Date"}
    assert len(about_recipients) == len(recipients)
    assert all(OBLIGATORY <= names <= ALLOWED for names in about_recipients)
    assert (original.get_payload(decode=True) or b"") == header
    for line in content.replace(b"\t", b" ").split(b"\r\n"):
        assert line.decode("ascii").isprintable() or line in header
        assert len(line) <= 998


def blocks(part: Message) -> list[Message]:
    """The groups of fields of a delivery status; none has a field twice."""
    groups = part.get_payload()
    assert isinstance(groups, list)
    found = [group for group in groups if isinstance(group, Message)]
    assert all(len(group.keys()) == len(set(group.keys())) for group in found)
    return found
