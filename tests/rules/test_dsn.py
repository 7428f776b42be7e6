"""What a sender is told, as people and as programs read it."""

import email.policy
from dataclasses import replace
from email.message import EmailMessage, Message

import pytest

from mta.model.address import Address
from mta.model.domain import Host
from mta.model.envelope import Envelope, MessageId, Recipient, State, Submission
from mta.model.outcome import Outcome, Reply, Stage, broken, judge, undeliverable
from mta.model.request import NOTHING, MessageRequest, RecipientRequest, Returned

from mta.rules.dsn import Action, Occasion, report_for
from mta.rules.dsn.original import MAX_HEADER, MAX_WHOLE

ACCEPTED_AT = 1_700_000_000.0
NOW = ACCEPTED_AT + 3_600
UNTIL = ACCEPTED_AT + 86_400
HEADER = b"From: Ann <ann@here.test>\r\nSubject: Hello\r\n"
MX = Host("mx.there.test", "192.0.2.1", 25)

REFUSED = judge(Reply(550, "No such user here", 1, 1), Stage.RECIPIENT, MX)
GREYLISTED = judge(Reply(451, "Greylisted, come back later", 7, 1), Stage.RECIPIENT, MX)
TIMED_OUT = broken(Stage.CONNECT, MX, "mx.there.test[192.0.2.1]:25 did not answer", detail=1)
NO_MAIL = undeliverable("there.test accepts no mail", 1, 10)


def failed(name: str, last: Outcome | None, attempts: int = 1) -> Recipient:
    return Recipient(Address(name, "there.test"), State.FAILED, attempts=attempts, last=last)


def envelope(*recipients: Recipient, sender: str = "ann") -> Envelope:
    return Envelope(
        id=MessageId("m1"),
        sender=Address(sender, "here.test"),
        recipients=recipients,
        accepted_at=ACCEPTED_AT,
        size=1_000,
    )


def report(
    *recipients: Recipient,
    header: bytes = HEADER,
    hostname: str = "mail.here.test",
    sender: str = "ann",
    action: Action = Action.FAILED,
    request: MessageRequest = NOTHING,
) -> Submission:
    about = replace(envelope(*recipients, sender=sender), request=request)
    return report_for(occasion(about, action, hostname=hostname), header)


def occasion(
    about: Envelope, action: Action = Action.FAILED, *, hostname: str = "mail.here.test"
) -> Occasion:
    return Occasion(about, action, range(len(about.recipients)), hostname, NOW, UNTIL)


def read(submission: Submission) -> EmailMessage:
    """The report as the standard library reads it, which finds no fault with it."""
    message = email.message_from_bytes(submission.content, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    assert [part.defects for part in message.walk()] == [[] for _ in message.walk()]
    return message


def parts(submission: Submission) -> list[Message]:
    return list(read(submission).iter_parts())


def words(submission: Submission) -> str:
    """The part for people."""
    text = parts(submission)[0].get_payload()
    assert isinstance(text, str)
    return text


def groups(submission: Submission) -> list[dict[str, str]]:
    """The groups of fields in the part for programs; none stands twice in its group."""
    blocks = parts(submission)[1].get_payload()
    assert isinstance(blocks, list)
    found = []
    for block in blocks:
        assert isinstance(block, Message)
        found.append({name: unfolded(str(value)) for name, value in block.items()})
        assert len(found[-1]) == len(block.keys())
    return found


def unfolded(value: str) -> str:
    return value.replace("\r\n", "")


def lines(submission: Submission) -> list[bytes]:
    *all_lines, rest = submission.content.split(b"\r\n")
    assert rest == b""
    return all_lines


# The envelope and the header


def test_a_report_goes_to_the_sender_from_nobody() -> None:
    submission = report(failed("bob", REFUSED))

    assert submission.sender is None
    assert submission.recipients == (Address("ann", "here.test"),)
    assert not submission.is_smtputf8


def test_a_report_says_what_it_is_to_people_and_to_programs() -> None:
    message = read(report(failed("bob", REFUSED)))

    assert dict(message.items()) == {
        "From": "Mail Delivery System <MAILER-DAEMON@mail.here.test>",
        "To": "ann@here.test",
        "Subject": "Not delivered: your message to bob@there.test",
        "Date": "Tue, 14 Nov 2023 23:13:20 +0000",
        "Message-ID": "<m1r0@mail.here.test>",
        "Auto-Submitted": "auto-replied",
        "MIME-Version": "1.0",
        "Content-Type": 'multipart/report; report-type="delivery-status"; boundary="report-m1r0"',
    }


def test_a_report_has_a_part_for_people_one_for_programs_and_the_original_header() -> None:
    submission = report(failed("bob", REFUSED))

    assert [part.get_content_type() for part in parts(submission)] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    assert parts(submission)[2].get_payload(decode=True) == HEADER


def test_a_sender_beyond_ascii_is_written_to_as_such() -> None:
    submission = report(failed("bob", REFUSED), sender="jürgen")

    assert submission.is_smtputf8
    assert "To: <jürgen@here.test>\r\n".encode() in submission.content


@pytest.mark.parametrize("hostname", ["mail.here.test", "[192.0.2.9]", "[IPv6:2001:db8::9]"])
def test_a_host_without_a_name_may_report_as_its_address(hostname: str) -> None:
    submission = report(failed("bob", REFUSED), hostname=hostname)

    assert groups(submission)[0]["Reporting-MTA"] == f"dns; {hostname}"
    assert f"<MAILER-DAEMON@{hostname}>".encode() in submission.content


# The part for people


@pytest.mark.parametrize(
    ("recipient", "said"),
    [
        (
            failed("bob", REFUSED),
            [
                "  bob@there.test",
                "    There is no such mailbox. Check the address for typing errors.",
                "    mx.there.test said: 550 5.1.1 No such user here",
            ],
        ),
        (
            failed("bob", GREYLISTED, attempts=9),
            [
                "  bob@there.test",
                "    It was tried 9 times, until the time to deliver it ran out. Sending it",
                "    once more may help.",
                "    mx.there.test said: 451 4.7.1 Greylisted, come back later",
            ],
        ),
        (
            failed("bob", TIMED_OUT),
            [
                "  bob@there.test",
                "    It was tried once, until the time to deliver it ran out. Sending it once",
                "    more may help.",
                "    The reason: mx.there.test[192.0.2.1]:25 did not answer.",
            ],
        ),
        (
            failed("bob", NO_MAIL),
            [
                "  bob@there.test",
                "    The domain says that it takes no mail at all. Check the part after the",
                "    @.",
                "    The reason: there.test accepts no mail.",
            ],
        ),
        (
            failed("bob", None, attempts=0),
            [
                "  bob@there.test",
                "    The time to deliver it ran out before it could be tried. Sending it once",
                "    more may help.",
            ],
        ),
        (
            failed("bob", judge(Reply(554, "No"), Stage.CONTENT, MX)),
            [
                "  bob@there.test",
                "    The receiving system refused it. Its words may say why:",
                "    mx.there.test said: 554 No",
            ],
        ),
        (
            failed("bob", judge(Reply(550, "Spam", 7, 1), Stage.CONTENT, MX)),
            [
                "  bob@there.test",
                "    The receiving system refused it by its policy. Its words may say why:",
                "    mx.there.test said: 550 5.7.1 Spam",
            ],
        ),
        (
            failed("bob", judge(Reply(554, "Listed by Spamhaus", 7, 1), Stage.SENDER, MX)),
            [
                "  bob@there.test",
                "    The receiving system takes no mail from this mail server for now.",
                "    Neither you nor the recipient can change that: tell the administrator of",
                "    this server.",
                "    mx.there.test said: 554 5.7.1 Listed by Spamhaus",
            ],
        ),
        (
            failed("bob", judge(Reply(550, "Who?", 7, 26), Stage.CONTENT, MX)),
            [
                "  bob@there.test",
                "    The receiving system cannot verify that the message comes from its",
                "    sender's domain. Tell the administrator of this server, or of that",
                "    domain.",
                "    mx.there.test said: 550 5.7.26 Who?",
            ],
        ),
        (
            failed("bob", judge(Reply(550, "mailbox bob does not exist"), Stage.RECIPIENT, MX)),
            [
                "  bob@there.test",
                "    There is no such mailbox. Check the address for typing errors.",
                "    mx.there.test said: 550 mailbox bob does not exist",
            ],
        ),
        (
            failed("bob", judge(Reply(452, "Full", 2, 2), Stage.RECIPIENT, MX), attempts=2),
            [
                "  bob@there.test",
                "    It was tried 2 times, until the time to deliver it ran out. The mailbox",
                "    is full. Try again later, or reach the recipient in another way.",
                "    mx.there.test said: 452 4.2.2 Full",
            ],
        ),
    ],
)
def test_people_are_told_who_and_why_and_what_to_do(recipient: Recipient, said: list[str]) -> None:
    text = words(report(recipient))

    assert text.splitlines() == [
        "This is the mail server mail.here.test. Your message of",
        "Tue, 14 Nov 2023 22:13:20 +0000 could not be delivered to:",
        "",
        *said,
        "",
        "No further attempt is made for these recipients. The header of your message",
        "is attached; in this server's log it is m1.",
    ]


def test_recipients_that_fail_together_are_reported_together() -> None:
    submission = report(failed("bob", REFUSED), failed("cat", TIMED_OUT), failed("dan", NO_MAIL))

    _, *recipients = groups(submission)
    subject = read(submission)["Subject"]
    assert subject == "Not delivered: your message to bob@there.test and 2 more"
    assert [group["Final-Recipient"] for group in recipients] == [
        "rfc822; bob@there.test",
        "rfc822; cat@there.test",
        "rfc822; dan@there.test",
    ]
    assert all(f"  {name}@there.test" in words(submission) for name in ("bob", "cat", "dan"))


def test_only_the_places_that_are_named_are_reported() -> None:
    of_three = envelope(failed("bob", REFUSED), failed("cat", REFUSED), failed("dan", REFUSED))

    submission = report_for(replace(occasion(of_three), places=[1]), HEADER)

    assert b"cat@there.test" in submission.content
    assert b"bob@" not in submission.content
    assert b"dan@" not in submission.content


# The part for programs (RFC 3464 §2)


def test_programs_are_told_about_the_message() -> None:
    about, _ = groups(report(failed("bob", REFUSED)))

    assert about == {
        "Reporting-MTA": "dns; mail.here.test",
        "X-Queue-ID": "m1",
        "Arrival-Date": "Tue, 14 Nov 2023 22:13:20 +0000",
    }


@pytest.mark.parametrize(
    ("last", "fields"),
    [
        (
            REFUSED,
            {
                "Status": "5.1.1",
                "Remote-MTA": "dns; mx.there.test",
                "Diagnostic-Code": "smtp; 550 5.1.1 No such user here",
            },
        ),
        (
            GREYLISTED,  # and given up: the class tells that it was no final refusal
            {
                "Status": "4.7.1",
                "Remote-MTA": "dns; mx.there.test",
                "Diagnostic-Code": "smtp; 451 4.7.1 Greylisted, come back later",
            },
        ),
        (
            judge(Reply(554, "No"), Stage.CONTENT, MX),  # a peer that gave no status
            {
                "Status": "5.0.0",
                "Remote-MTA": "dns; mx.there.test",
                "Diagnostic-Code": "smtp; 554 No",
            },
        ),
        (
            TIMED_OUT,  # no remote server was involved
            {
                "Status": "4.4.1",
                "Diagnostic-Code": "x-mta; mx.there.test[192.0.2.1]:25 did not answer",
            },
        ),
        (
            NO_MAIL,
            {"Status": "5.1.10", "Diagnostic-Code": "x-mta; there.test accepts no mail"},
        ),
        (
            broken(Stage.CONTENT, MX, "the connection broke"),
            {
                "Status": "4.4.2",
                "Remote-MTA": "dns; mx.there.test",
                "Diagnostic-Code": "x-mta; the connection broke",
            },
        ),
        (
            judge(Reply(550, "No", 1, 1), Stage.RECIPIENT, replace(MX, name="[192.0.2.1]")),
            {
                "Status": "5.1.1",
                "Remote-MTA": "dns; [192.0.2.1]",
                "Diagnostic-Code": "smtp; 550 5.1.1 No",
            },
        ),
        (None, {"Status": "4.4.7"}),
    ],
)
def test_programs_are_told_about_each_recipient(
    last: Outcome | None, fields: dict[str, str]
) -> None:
    _, about = groups(report(failed("bob", last)))

    assert about == {
        "Final-Recipient": "rfc822; bob@there.test",
        "Action": "failed",
        **fields,
        "Last-Attempt-Date": "Tue, 14 Nov 2023 23:13:20 +0000",
    }


def test_a_recipient_that_was_never_tried_has_no_last_attempt() -> None:
    _, about = groups(report(failed("bob", TIMED_OUT, attempts=0)))

    assert "Last-Attempt-Date" not in about


@pytest.mark.parametrize("code", [200, 354, 421, 450, 552, 599])
def test_every_status_is_one_that_a_program_can_read(code: int) -> None:
    last = replace(REFUSED, reply=Reply(code, "words"))

    _, about = groups(report(failed("bob", last)))

    assert about["Status"] in ("2.0.0", "4.0.0", "5.0.0")


@pytest.mark.parametrize(
    ("local", "typed"),
    [
        ('"b b"', 'rfc822; "b b"@there.test'),
        ("b+c=d", "rfc822; b+c=d@there.test"),
        ("jürgen", r"utf-8; j\x{FC}rgen@there.test"),
        ("😀", r"utf-8; \x{1F600}@there.test"),
        ('"é+=\\\\ "', r'utf-8; "\x{E9}\x{2B}\x{3D}\x{5C}\x{5C}\x{20}"@there.test'),
    ],
)
def test_an_address_beyond_ascii_is_typed_and_escaped(local: str, typed: str) -> None:
    submission = report(failed(local, REFUSED))

    assert groups(submission)[1]["Final-Recipient"] == typed
    assert submission.content.isascii()


# Hostile words, and limits

HOSTILE = [
    "\r\nX-Evil: 1",
    "\n\nFinal-Recipient: rfc822; eve@here.test\nAction: delivered",
    "\r\n--report-m1r0--\r\n",
    "\r\n.\r\nMAIL FROM:<eve@here.test>",
    "\x1b[2J\x00\x7f\x85\u2028",
    "é \U0001f600 \udcff",
    "=?us-ascii?q?hi=0D=0ABcc=3A_x?=",
    "",
    "   ",
    "x" * 5_000,
    "x " * 2_000,
    "\U0001f600" * 500,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_peers_words_are_words_and_nothing_else(text: str) -> None:
    evil = Host(f"mx{text[:200]}", "192.0.2.1", 25)
    outcomes = [judge(Reply(550, text), Stage.RECIPIENT, evil), broken(Stage.HELLO, evil, text)]

    submission = report(*(failed("bob", outcome) for outcome in outcomes))

    names = {"Final-Recipient", "Action", "Status", "Last-Attempt-Date", "Diagnostic-Code"}
    assert [set(group) - {"Remote-MTA"} for group in groups(submission)[1:]] == [names, names]
    assert len(parts(submission)) == 3
    assert len(read(submission).items()) == 8
    assert submission.content.isascii()
    assert max(len(line) for line in lines(submission)) <= 998
    assert all(line.decode().isprintable() or b"boundary" in line for line in lines(submission))


@pytest.mark.parametrize("local", ["a" * 64, "\U0001f600" * 16, '"' + " " * 62 + '"'])
def test_the_longest_addresses_fit(local: str) -> None:
    domain = ".".join(["d" * 63] * 3 + ["d" * 61])
    recipient = replace(failed("bob", REFUSED), address=Address(local, domain))

    submission = report(recipient, recipient, sender=local)

    assert len(parts(submission)) == 3
    assert max(len(line) for line in lines(submission)) <= 998


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Subject: \xc3\xa9 \xff\r\n",
        b"Subject: " + b"x" * 5_000 + b"\r\nTo: y = z\r\n",
        b"X: =20 \r\n trailing \r\n.: x\r\n",
        b"--report-m1: x\r\n",
    ],
)
def test_the_original_header_is_enclosed_whole_and_in_seven_bits(header: bytes) -> None:
    submission = report(failed("bob", REFUSED), header=header)

    assert (parts(submission)[2].get_payload(decode=True) or b"") == header
    assert submission.content.isascii()
    assert max(len(line) for line in lines(submission)) <= 998


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (b"A: b\r\n" * (MAX_HEADER // 6 + 1), b"A: b\r\n" * (MAX_HEADER // 6)),
        (b"A: " + b"x" * MAX_HEADER + b"\r\n", b"A: " + b"x" * (MAX_HEADER - 3) + b"\r\n"),
    ],
)
def test_an_original_header_without_end_is_cut(header: bytes, kept: bytes) -> None:
    submission = report(failed("bob", REFUSED), header=header)

    assert parts(submission)[2].get_payload(decode=True) == kept


def test_no_report_is_made_for_the_null_sender() -> None:
    from_nobody = replace(envelope(failed("bob", REFUSED)), sender=None)

    with pytest.raises(AssertionError):
        report_for(occasion(from_nobody), HEADER)


# Delays, and mail that was passed on


def test_people_are_told_of_a_delay_and_that_they_need_do_nothing() -> None:
    waiting = replace(failed("bob", GREYLISTED, attempts=3), tried_at=NOW - 600)
    text = words(report(waiting, action=Action.DELAYED))

    assert text.splitlines() == [
        "This is the mail server mail.here.test. Your message of",
        "Tue, 14 Nov 2023 22:13:20 +0000 is not delivered yet to:",
        "",
        "  bob@there.test",
        "    It was tried 3 times, last on Tue, 14 Nov 2023 23:03:20 +0000.",
        "    mx.there.test said: 451 4.7.1 Greylisted, come back later",
        "",
        "It will be tried until Wed, 15 Nov 2023 22:13:20 +0000. You need not send it",
        "again. The header of your message is attached; in this server's log it is",
        "m1.",
    ]


def test_programs_are_told_of_a_delay_and_of_its_end() -> None:
    waiting = replace(failed("bob", GREYLISTED, attempts=3), tried_at=NOW - 600)
    _, about = groups(report(waiting, action=Action.DELAYED))

    assert about == {
        "Final-Recipient": "rfc822; bob@there.test",
        "Action": "delayed",
        "Status": "4.7.1",
        "Remote-MTA": "dns; mx.there.test",
        "Diagnostic-Code": "smtp; 451 4.7.1 Greylisted, come back later",
        "Last-Attempt-Date": "Tue, 14 Nov 2023 23:03:20 +0000",
        "Will-Retry-Until": "Wed, 15 Nov 2023 22:13:20 +0000",
    }


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (None, "4.0.0"),
        (judge(Reply(552, "Too many", 5, 3), Stage.RECIPIENT, MX), "4.5.3"),  # a 5yz that may pass
        (judge(Reply(535, "Bad password", 7, 8), Stage.LOGIN, MX), "4.7.8"),
    ],
)
def test_a_delay_has_a_status_that_says_so(last: Outcome | None, status: str) -> None:
    _, about = groups(report(failed("bob", last, attempts=0), action=Action.DELAYED))

    assert about["Status"] == status


def test_a_delay_of_what_was_never_tried_says_so() -> None:
    text = words(report(failed("bob", None, attempts=0), action=Action.DELAYED))

    assert "    It could not be tried yet." in text.splitlines()


def test_people_are_told_of_what_was_passed_on_for_good() -> None:
    relayed = failed("bob", judge(Reply(250, "Queued", 0, 0), Stage.CONTENT, MX))
    text = words(report(relayed, action=Action.RELAYED))

    assert text.splitlines() == [
        "This is the mail server mail.here.test. Your message of",
        "Tue, 14 Nov 2023 22:13:20 +0000 was passed on for:",
        "",
        "  bob@there.test",
        "    mx.there.test took it, and tells nobody what becomes of it there.",
        "    mx.there.test said: 250 Queued",
        "",
        "This server has no part in it any more. The header of your message is",
        "attached; in this server's log it is m1.",
    ]


def test_programs_are_told_of_what_was_passed_on_for_good() -> None:
    relayed = failed("bob", judge(Reply(250, "Queued", 6, 0), Stage.CONTENT, MX))
    _, about = groups(report(relayed, action=Action.RELAYED))

    assert (about["Action"], about["Status"]) == ("relayed", "2.6.0")


@pytest.mark.parametrize(
    ("action", "subject"),
    [
        (Action.FAILED, "Not delivered: your message to bob@there.test"),
        (Action.DELAYED, "Not delivered yet: your message to bob@there.test"),
        (Action.RELAYED, "Passed on: your message to bob@there.test"),
    ],
)
def test_the_subject_says_what_is_told(action: Action, subject: str) -> None:
    assert read(report(failed("bob", REFUSED), action=action))["Subject"] == subject


@pytest.mark.parametrize("action", [Action.FAILED, Action.DELAYED])
def test_an_attempt_that_broke_off_at_its_end_is_told_with_its_doubt(action: Action) -> None:
    silent = broken(Stage.CONTENT, MX, "silence", may_have_arrived=True)
    text = words(report(replace(failed("bob", silent), may_have_arrived=True), action=action))

    assert "It may have arrived all the same" in " ".join(text.split())


def test_each_report_has_an_id_of_its_own_that_comes_again() -> None:
    about = envelope(failed("bob", REFUSED), failed("cat", REFUSED))
    both = {action: occasion(about, action).id for action in Action}
    one = {action: replace(occasion(about, action), places=[1]).id for action in Action}

    assert both[Action.DELAYED] == one[Action.DELAYED] == "m1d"
    assert (one[Action.FAILED], one[Action.RELAYED]) == ("m1r1", "m1s1")
    assert len({*both.values(), *one.values()}) == 5
    assert both == {action: occasion(about, action).id for action in Action}


# What the client asked for


@pytest.mark.parametrize(
    ("envelope_id", "shown"),
    [
        ("QQ314159", "QQ314159"),
        ("a+2Bb+3Dc+20d", "a+b=c d"),
        ("x+0D+0AX-Evil:+201", r"x\r\nX-Evil: 1"),
        ("+00+1B+FF", r"\x00\x1b\xff"),
        ("+0D" * 33, r"\r" * 33),
    ],
)
def test_the_senders_envelope_id_comes_back_decoded(envelope_id: str, shown: str) -> None:
    asked = MessageRequest(envelope_id=envelope_id)
    about, _ = groups(report(failed("bob", REFUSED), request=asked))

    assert next(iter(about)) == "Original-Envelope-Id"
    assert about["Original-Envelope-Id"] == shown


@pytest.mark.parametrize(
    ("original", "shown"),
    [
        ("rfc822;Bob+2Blist@There.test", "rfc822; Bob+list@There.test"),
        ("rfc822;b+0D+0AAction:+20delivered@x", r"rfc822; b\r\nAction: delivered@x"),
        ("RFC822;b\u00e9@x", r"RFC822; b\xe9@x"),
        ("x400;/C=US/", "x400; /C=US/"),
        (r"utf-8;j\x{FC}rgen@there.test", r"utf-8; j\x{FC}rgen@there.test"),
        ("utf-8;j\u00fcrgen@there.test", r"utf-8; j\x{FC}rgen@there.test"),
        ("UTF-8;\u2028\x85@x", r"UTF-8; \x{2028}\x{85}@x"),
    ],
)
def test_the_original_recipient_comes_back_as_the_sender_named_it(
    original: str, shown: str
) -> None:
    asked = RecipientRequest(original=original)
    submission = report(replace(failed("bob", REFUSED), request=asked))

    about = groups(submission)[1]
    assert next(iter(about)) == "Original-Recipient"
    assert about["Original-Recipient"] == shown
    assert submission.content.isascii()


def test_an_original_recipient_that_no_line_can_hold_is_left_out() -> None:
    asked = RecipientRequest(original="utf-8;" + "\U0001f600" * 400)

    _, about = groups(report(replace(failed("bob", REFUSED), request=asked)))

    assert "Original-Recipient" not in about


WHOLE = HEADER + b"\r\nBody\r\n.dot\r\n"
FULL = MessageRequest(Returned.FULL)


def enclosed(submission: Submission) -> tuple[str, str, bytes]:
    """The type, the encoding and the octets of the third part, as they stand."""
    part = submission.content.split(b"\r\n--report-")[3].split(b"\r\n", 1)[1]
    head, octets = part.split(b"\r\n\r\n", 1)
    kind, encoding = (line.split(b": ")[1].decode() for line in head.split(b"\r\n"))
    return kind, encoding, octets


def test_a_message_comes_back_whole_where_that_was_asked_for() -> None:
    submission = report(failed("bob", REFUSED), header=WHOLE, request=FULL)

    assert enclosed(submission) == ("message/rfc822", "7bit", WHOLE)
    assert "Your message is attached;" in " ".join(words(submission).split())


@pytest.mark.parametrize("request_", [NOTHING, MessageRequest(Returned.HEADERS)])
def test_the_header_alone_comes_back_otherwise(request_: MessageRequest) -> None:
    submission = report(failed("bob", REFUSED), header=WHOLE, request=request_)

    assert enclosed(submission) == ("text/rfc822-headers", "7bit", HEADER)


@pytest.mark.parametrize("action", [Action.DELAYED, Action.RELAYED])
def test_the_header_alone_comes_back_with_what_is_no_failure(action: Action) -> None:
    submission = report(failed("bob", REFUSED), header=WHOLE, request=FULL, action=action)

    assert enclosed(submission)[2] == HEADER


@pytest.mark.parametrize(
    "body",
    [b"y\r\n" * (MAX_WHOLE // 3), b"y" * 1_200 + b"\r\n"],
    ids=["too much", "too long a line"],
)
def test_what_cannot_come_back_whole_does_not(body: bytes) -> None:
    content = HEADER + b"\r\n" + body

    assert enclosed(report(failed("bob", REFUSED), header=content, request=FULL))[2] == HEADER


def test_a_message_in_eight_bits_comes_back_as_it_is() -> None:
    content = HEADER + b"\r\n\xc3\xa9\r\n"

    submission = report(failed("bob", REFUSED), header=content, request=FULL)

    assert enclosed(submission) == ("message/rfc822", "8bit", content)


@pytest.mark.parametrize(
    ("request_", "kind", "encoding"),
    [(FULL, "message/global", "8bit"), (NOTHING, "message/global-headers", "quoted-printable")],
)
def test_a_header_in_utf8_comes_back_under_its_own_type(
    request_: MessageRequest, kind: str, encoding: str
) -> None:
    content = "Subject: \u00e9\r\n\r\nBody\r\n".encode()
    about = replace(envelope(failed("bob", REFUSED)), needs_smtputf8=True, request=request_)

    submission = report_for(occasion(about), content)

    assert enclosed(submission)[:2] == (kind, encoding)


def test_a_report_of_what_requires_tls_requires_it_and_holds_no_more_than_the_header() -> None:
    request = MessageRequest(Returned.FULL, needs_tls=True)  # RFC 8689 §5

    submission = report(failed("bob", REFUSED), header=WHOLE, request=request)

    assert submission.request.needs_tls
    assert enclosed(submission)[0] == "text/rfc822-headers"
    assert report(failed("bob", REFUSED), header=WHOLE, request=FULL).request == NOTHING
