"""Which failures of the direct road open the second one."""

from dataclasses import replace
from math import inf

import pytest

from mta.model.domain import Host
from mta.model.envelope import Reason
from mta.model.outcome import (
    Outcome,
    Scope,
    Stage,
    broken,
    judge,
    parse_reply,
    undeliverable,
    unresolved,
)
from mta.model.request import Deadline, Late

from mta.rules.delivery import deadline
from mta.rules.delivery.fallback import Detour, FallbackPlan, detour_after, reason_to_fall_back

MX = Host("mx.there.test", "192.0.2.1", 25)

BLOCKED = Reason.BLOCKED


def of_all_hosts(outcome: Outcome) -> Outcome:
    """The same trouble, at every host of the destination."""
    return replace(outcome, scope=Scope.DESTINATION)


def cut(stage: Stage, *, may_have_arrived: bool = False) -> Outcome:
    return of_all_hosts(broken(stage, MX, "trouble", may_have_arrived=may_have_arrived))


def refused(stage: Stage, code: int, text: str = "no") -> Outcome:
    return judge(parse_reply(code, text), stage, MX)


# What kept us from every host


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (unresolved("the name servers do not answer"), Reason.DNS),
        (cut(Stage.CONNECT), Reason.CONNECT),
        (cut(Stage.GREETING), Reason.CONNECT),
        (cut(Stage.HELLO), Reason.CONNECT),
        (cut(Stage.TLS), Reason.TLS),
        (of_all_hosts(refused(Stage.TLS, 454, "TLS not available")), Reason.TLS),
        # Once the peer had the letter in hand the road is open
        (cut(Stage.SENDER), None),
        (cut(Stage.RECIPIENT), None),
        (cut(Stage.CONTENT), None),
        # One host is not the destination
        (broken(Stage.CONNECT, MX, "no answer"), None),
        (broken(Stage.TLS, MX, "no handshake"), None),
        # What is true on every road
        (undeliverable("no such domain", 1, 2), None),
        (undeliverable("takes no mail", 1, 10), None),
        (of_all_hosts(refused(Stage.GREETING, 421, "too busy")), None),
    ],
)
def test_the_second_road_is_open_where_the_first_cannot_be_had(
    outcome: Outcome, reason: Reason | None
) -> None:
    assert reason_to_fall_back(outcome) is reason


@pytest.mark.parametrize("stage", Stage)
def test_never_where_the_message_may_have_arrived(stage: Stage) -> None:
    refusal = refused(stage, 554, "5.7.1 blocked by spamhaus")

    assert reason_to_fall_back(cut(stage, may_have_arrived=True)) is None
    assert reason_to_fall_back(replace(refusal, may_have_arrived=True)) is None


def test_never_for_what_was_delivered() -> None:
    assert reason_to_fall_back(refused(Stage.CONTENT, 250, "blocked, listed, ok")) is None


# What peers say of our address


@pytest.mark.parametrize(
    ("stage", "code", "text"),
    [
        # Before they knew anything of us but our address
        (Stage.GREETING, 554, "No SMTP service here"),
        (Stage.GREETING, 521, "go away"),
        (Stage.HELLO, 550, "5.7.1 we do not like you"),
        # Lists
        (
            Stage.RECIPIENT,
            554,
            "5.7.1 Service unavailable; Client host [192.0.2.9] blocked using x",
        ),
        (Stage.RECIPIENT, 550, "192.0.2.9 is listed at zen.spamhaus.org"),
        (Stage.RECIPIENT, 554, "Your IP is on our DNSBL"),
        (Stage.RECIPIENT, 554, "5.7.1 rejected by RBL"),
        (Stage.RECIPIENT, 550, "blacklisted"),
        (Stage.RECIPIENT, 550, "5.7.1 your host is on our block list"),
        (Stage.RECIPIENT, 554, "5.7.1 Recipient address rejected: Client host blocked using bl.x"),
        (Stage.RECIPIENT, 450, "4.7.1 Client host blocked, try later"),
        (Stage.SENDER, 550, "5.7.1 messages from [192.0.2.9] weren't sent (S3140)"),
        (Stage.SENDER, 550, "5.7.606 Access denied, banned sending IP [192.0.2.9]"),
        # Kinds of addresses
        (Stage.SENDER, 550, "5.7.1 mail from dynamic IP space is not accepted"),
        (Stage.SENDER, 554, "residential addresses may not send"),
        (Stage.CONTENT, 550, "5.7.1 very low reputation of the sending IP address"),
        # No name for our address
        (Stage.CONTENT, 550, "5.7.25 the IP address has no PTR record"),
        (Stage.SENDER, 450, "4.7.25 cannot find your hostname"),
    ],
)
def test_a_peer_that_shuts_out_our_address_leaves_the_second_road(
    stage: Stage, code: int, text: str
) -> None:
    assert reason_to_fall_back(refused(stage, code, text)) is BLOCKED


@pytest.mark.parametrize(
    ("stage", "code", "text"),
    [
        # No such user, in all its ways
        (Stage.RECIPIENT, 550, "5.1.1 No such user"),
        (Stage.RECIPIENT, 550, "No such user"),
        (Stage.RECIPIENT, 550, "User not listed in public Name & Address Book"),
        (Stage.RECIPIENT, 550, "User bob@there.test not listed in Domino Directory"),
        (Stage.RECIPIENT, 550, "5.1.1 bob is not listed in our directory"),
        # A recipient of theirs
        (Stage.RECIPIENT, 550, "5.2.1 Mailbox blocked"),
        (Stage.RECIPIENT, 550, "Mailbox blocked"),
        (Stage.RECIPIENT, 550, "mailbox is currently blocked"),
        (Stage.RECIPIENT, 554, "5.7.1 This account has been banned"),
        (Stage.RECIPIENT, 550, "Recipient address is blocked"),
        (Stage.RECIPIENT, 550, "5.7.1 recipient has been blacklisted"),
        (Stage.RECIPIENT, 552, "5.2.2 Mailbox full"),
        # What is in the message
        (Stage.CONTENT, 552, "5.7.0 This message was blocked because its content presents a risk"),
        (Stage.CONTENT, 554, "Blocked: virus found"),
        (Stage.CONTENT, 550, "5.7.1 likely unsolicited mail, this message has been blocked"),
        (Stage.CONTENT, 554, "5.6.0 blocked"),
        (Stage.CONTENT, 554, "5.7.1 Spam"),
        # A sender's domain, whatever the road
        (Stage.SENDER, 550, "5.7.27 the sender's domain takes no mail"),
        (Stage.SENDER, 550, "5.1.8 the sender's domain does not exist"),
        # Busy, or greylisting
        (Stage.RECIPIENT, 450, "4.7.1 Greylisted"),
        (Stage.GREETING, 421, "too many connections"),
        (Stage.RECIPIENT, 451, "4.3.0 try again later"),
        # Words that only look like it
        (Stage.RECIPIENT, 550, "unblocked"),
        (Stage.RECIPIENT, 550, "garble"),
    ],
)
def test_a_refusal_that_is_true_on_every_road_opens_none(
    stage: Stage, code: int, text: str
) -> None:
    assert reason_to_fall_back(refused(stage, code, text)) is None


# What opens it later

PLAN = FallbackPlan(rate_after=1_800.0, age_after=7_200.0, before_deadline=600.0)
RELEASED_AT = 10_000.0
BY = Deadline(RELEASED_AT + 3_600.0, Late.DROP)
SOON = Deadline(RELEASED_AT + 60.0, Late.FAIL)
RETURN = Deadline(RELEASED_AT + 3_600.0)
OVERDUE = Deadline(RELEASED_AT - 5.0, Late.NOTIFY)

GREYLISTED = refused(Stage.RECIPIENT, 450, "4.7.1 Greylisted")
TOO_FAST = refused(Stage.RECIPIENT, 421, "4.7.0 too many messages from you")
UNKEPT = replace(
    refused(Stage.SENDER, 550, "5.3.3 no deadlines"), is_from_peer=False, scope=Scope.HOST
)


@pytest.mark.parametrize(
    ("outcome", "by", "detour"),
    [
        (cut(Stage.CONNECT), None, Detour(-inf, Reason.CONNECT)),
        (cut(Stage.CONNECT), BY, Detour(-inf, Reason.CONNECT)),
        # Whatever holds it up
        (GREYLISTED, None, Detour(RELEASED_AT + 7_200, Reason.AGE)),
        (cut(Stage.CONTENT), None, Detour(RELEASED_AT + 7_200, Reason.AGE)),
        (TOO_FAST, None, Detour(RELEASED_AT + 1_800, Reason.RATE)),
        # In time for its deadline, with half of the time for the direct road if there is little
        (GREYLISTED, BY, Detour(RELEASED_AT + 3_000, Reason.DEADLINE)),
        (GREYLISTED, SOON, Detour(RELEASED_AT + 30, Reason.DEADLINE)),
        (GREYLISTED, OVERDUE, Detour(RELEASED_AT - 5, Reason.DEADLINE)),
        (TOO_FAST, BY, Detour(RELEASED_AT + 1_800, Reason.RATE)),
        # A host that keeps no deadlines, for a message that may go to no such host
        (UNKEPT, RETURN, Detour(-inf, Reason.DEADLINE)),
        (UNKEPT, BY, None),
        # True on every road
        (refused(Stage.RECIPIENT, 452, "4.2.2 mailbox full"), None, None),
        (refused(Stage.RECIPIENT, 452, "4.2.2 mailbox full"), BY, None),
        (refused(Stage.RECIPIENT, 550, "5.1.1 no such user"), BY, None),
        (broken(Stage.CONTENT, MX, "?", may_have_arrived=True), BY, None),
        (replace(unresolved("our spool"), stage=Stage.CONTENT, scope=Scope.MESSAGE), BY, None),
        # Put off by ourselves, before anybody was asked
        (
            replace(unresolved("enough for today"), stage=Stage.CONNECT, scope=Scope.MESSAGE),
            None,
            Detour(RELEASED_AT + 7_200, Reason.AGE),
        ),
    ],
)
def test_the_second_road_opens_in_time(
    outcome: Outcome, by: Deadline | None, detour: Detour | None
) -> None:
    assert detour_after(outcome, PLAN, released_at=RELEASED_AT, by=by) == detour


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_that_is_not_wanted_opens_nothing(reason: Reason) -> None:
    plan = replace(PLAN, reasons=PLAN.reasons - {reason})
    outcomes = (cut(Stage.CONNECT), cut(Stage.TLS), unresolved("?"), TOO_FAST, GREYLISTED, UNKEPT)

    found = [
        detour_after(outcome, plan, released_at=RELEASED_AT, by=by)
        for outcome in outcomes
        for by in (None, BY, RETURN)
    ]

    assert reason not in [detour.reason for detour in found if detour]


def test_a_peer_that_says_the_same_of_itself_opens_nothing() -> None:
    assert deadline.is_unkept(UNKEPT)
    assert not deadline.is_unkept(replace(UNKEPT, is_from_peer=True))
