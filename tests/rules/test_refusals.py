"""What a refusal means: the tables of patterns, in the words of real receivers."""

from dataclasses import replace

import pytest

from mta.model.domain import Host
from mta.model.outcome import (
    Outcome,
    Stage,
    broken,
    judge,
    parse_reply,
    undeliverable,
    unresolved,
)
from mta.model.ruling import Cause, Response, Ruling

from mta.rules.refusals.classify import SHIPPED, Table, classify
from mta.rules.refusals.pattern import Matcher, Rule, words_of
from mta.rules.refusals.shipped import RULES

MX = Host("mx.there.test", "192.0.2.1", 25)


def refused(text: str, stage: Stage = Stage.RECIPIENT, host: str = MX.name) -> Outcome:
    """The outcome of a reply line, as in "550 5.1.1 no such user"."""
    code, _, rest = text.partition(" ")
    return judge(parse_reply(int(code), rest), stage, replace(MX, name=host))


def ruling_on(text: str, stage: Stage = Stage.RECIPIENT, host: str = MX.name) -> Ruling:
    found = classify(refused(text, stage, host))
    assert found is not None
    return found


def test_a_delivery_is_no_refusal() -> None:
    assert classify(refused("250 blocked, listed, full", Stage.CONTENT)) is None


def test_what_was_asked_before_stands() -> None:
    before = Ruling(Cause.RATE, "a rule of the operator's", Response.PAUSE, 7200.0)

    assert classify(replace(refused("550 5.1.1 who?"), ruling=before)) is before


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("code", [400, 421, 450, 452, 499, 500, 521, 550, 552, 554, 599])
def test_every_refusal_finds_a_rule(stage: Stage, code: int) -> None:
    assert classify(refused(f"{code} xyzzy", stage)) is not None
    assert classify(replace(refused(f"{code} xyzzy", stage), is_from_peer=False)) is not None


def test_each_rule_has_an_id_of_its_own_and_says_what_it_is_and_where_that_is_written() -> None:
    ids = [rule.id for rule in RULES]

    assert len(set(ids)) == len(ids)
    assert [rule.id for rule in RULES if not (rule.what.endswith(".") and rule.source)] == []
    assert SHIPPED.rule("null-mx") is not None


# By what the standards say


@pytest.mark.parametrize(
    ("text", "cause", "rule"),
    [
        ("550 5.1.1 what?", Cause.RECIPIENT_GONE, "recipient-address"),
        ("556 5.1.10 what?", Cause.RECIPIENT_GONE, "null-mx"),
        ("550 5.1.8 what?", Cause.OURS, "sender-address"),
        ("550 5.2.1 what?", Cause.RECIPIENT_GONE, "mailbox-disabled"),
        ("450 4.2.1 what?", Cause.RATE, "mailbox-busy"),
        ("552 5.2.2 what?", Cause.MAILBOX_FULL, "mailbox-full"),
        ("452 4.2.2 what?", Cause.MAILBOX_FULL, "mailbox-full"),
        ("552 5.3.4 what?", Cause.CONTENT, "too-large"),
        ("452 4.3.1 what?", Cause.NETWORK, "system"),
        ("451 4.4.5 what?", Cause.RATE, "congestion"),
        ("554 5.4.6 what?", Cause.POLICY, "loop"),
        ("554 5.6.0 what?", Cause.CONTENT, "content"),
        ("550 5.7.1 what?", Cause.POLICY, "policy"),
        ("550 5.7.23 what?", Cause.AUTHENTICATION, "not-authenticated"),
        ("550 5.7.26 what?", Cause.AUTHENTICATION, "not-authenticated"),
        ("450 4.7.25 what?", Cause.SENDER_BLOCKED, "no-reverse-name"),
        ("450 4.7.28 what?", Cause.RATE, "flood"),
        ("550 5.7.27 what?", Cause.OURS, "sender-takes-no-mail"),
        ("550 what?", Cause.POLICY, "refused"),
        ("551 what?", Cause.RECIPIENT_GONE, "not-here"),
        ("552 what?", Cause.MAILBOX_FULL, "storage"),
        ("555 what?", Cause.OURS, "syntax"),
        ("421 what?", Cause.NETWORK, "closing"),
        ("451 what?", Cause.NETWORK, "later"),
    ],
)
def test_without_words_that_are_known_the_numbers_say_it(
    text: str, cause: Cause, rule: str
) -> None:
    found = ruling_on(text)

    assert (found.cause, found.rule) == (cause, rule)


@pytest.mark.parametrize(
    ("outcome", "cause"),
    [
        (undeliverable("no such domain", 1, 2), Cause.RECIPIENT_GONE),
        (undeliverable("takes no mail", 1, 10), Cause.RECIPIENT_GONE),
        (unresolved("no answer"), Cause.NETWORK),
        (broken(Stage.CONNECT, MX, "no answer", detail=1), Cause.NETWORK),
        (broken(Stage.TLS, MX, "no handshake", subject=7, detail=5), Cause.POLICY),
        (broken(Stage.LOGIN, MX, "no mechanism", subject=7, detail=0), Cause.OURS),
    ],
)
def test_what_no_peer_said_has_a_cause_too(outcome: Outcome, cause: Cause) -> None:
    found = classify(outcome)

    assert found is not None
    assert (found.cause, found.response) == (cause, Response.NOTHING)


# What is said of our address


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("554 No SMTP service here", Stage.GREETING),
        ("521 go away", Stage.GREETING),
        ("550 5.7.1 we do not like you", Stage.HELLO),
        ("554 5.7.1 Service unavailable; Client host [192.0.2.9] blocked using x", Stage.RECIPIENT),
        ("550 192.0.2.9 is listed at zen.spamhaus.org", Stage.RECIPIENT),
        ("554 Your IP is on our DNSBL", Stage.RECIPIENT),
        ("554 5.7.1 rejected by RBL", Stage.RECIPIENT),
        ("550 blacklisted", Stage.RECIPIENT),
        ("550 5.7.1 your host is on our block list", Stage.RECIPIENT),
        (
            "554 5.7.1 Recipient address rejected: Client host blocked using bl.x",
            Stage.RECIPIENT,
        ),
        ("450 4.7.1 Client host blocked, try later", Stage.RECIPIENT),
        ("550 5.7.1 messages from [192.0.2.9] weren't sent (S3140)", Stage.SENDER),
        ("550 5.7.606 Access denied, banned sending IP [192.0.2.9]", Stage.SENDER),
        ("550 5.7.1 mail from dynamic IP space is not accepted", Stage.SENDER),
        ("554 residential addresses may not send", Stage.SENDER),
        ("550 5.7.1 very low reputation of the sending IP address", Stage.CONTENT),
        ("550 5.7.25 the IP address has no PTR record", Stage.CONTENT),
        ("450 4.7.25 cannot find your hostname", Stage.SENDER),
    ],
)
def test_an_address_of_ours_that_is_not_liked_is_our_trouble(text: str, stage: Stage) -> None:
    found = ruling_on(text, stage)

    assert found.cause is Cause.SENDER_BLOCKED
    assert found.is_of_our_address


@pytest.mark.parametrize(
    ("text", "stage", "cause"),
    [
        ("550 5.1.1 No such user", Stage.RECIPIENT, Cause.RECIPIENT_GONE),
        ("550 No such user", Stage.RECIPIENT, Cause.RECIPIENT_GONE),
        (
            "550 User not listed in public Name & Address Book",
            Stage.RECIPIENT,
            Cause.RECIPIENT_GONE,
        ),
        (
            "550 User bob@there.test not listed in Domino Directory",
            Stage.RECIPIENT,
            Cause.RECIPIENT_GONE,
        ),
        ("550 5.1.1 bob is not listed in our directory", Stage.RECIPIENT, Cause.RECIPIENT_GONE),
        ("550 5.2.1 Mailbox blocked", Stage.RECIPIENT, Cause.RECIPIENT_GONE),
        ("550 Mailbox blocked", Stage.RECIPIENT, Cause.POLICY),
        ("554 5.7.1 This account has been banned", Stage.RECIPIENT, Cause.POLICY),
        ("550 Recipient address is blocked", Stage.RECIPIENT, Cause.POLICY),
        ("552 5.2.2 Mailbox full", Stage.RECIPIENT, Cause.MAILBOX_FULL),
        (
            "552 5.7.0 This message was blocked because its content presents a risk",
            Stage.CONTENT,
            Cause.CONTENT,
        ),
        ("554 Blocked: virus found", Stage.CONTENT, Cause.CONTENT),
        ("554 5.7.1 Spam", Stage.CONTENT, Cause.CONTENT),
        ("450 4.7.1 Greylisted", Stage.RECIPIENT, Cause.POLICY),
        ("421 too many connections", Stage.GREETING, Cause.RATE),
        ("451 4.3.0 try again later", Stage.RECIPIENT, Cause.NETWORK),
        ("550 unblocked", Stage.RECIPIENT, Cause.POLICY),
        ("550 garble", Stage.RECIPIENT, Cause.POLICY),
    ],
)
def test_what_is_said_of_somebody_else_opens_no_other_road(
    text: str, stage: Stage, cause: Cause
) -> None:
    found = ruling_on(text, stage)

    assert found.cause is cause
    assert not found.is_of_our_address


# How words are compared


def test_words_are_those_of_the_text_whatever_stands_between() -> None:
    assert words_of("[TSS04] Messages,  from  [192.0.2.1]") == " tss04 messages | from 192 0 2 1 "


@pytest.mark.parametrize(
    ("phrase", "text", "is_about"),
    [
        ("blocked", "You are BLOCKED.", True),
        ("blocked", "unblocked", False),
        ("greylist*", "Greylisting in action", True),
        ("greylist*", "ungreylisted", False),
        ("user * unknown", "user bob is unknown", True),
        ("user * unknown", "user unknown", True),
        ("user * unknown", "user a b c d unknown", True),
        ("user * unknown", "user a b c d e unknown", False),
        ("user * unknown", "rejected user. Sender unknown", False),
        ("user * unknown", "user is unknowns", False),
        ("doesn't exist", "it doesn't exist", True),
        ("[TSS04]", "421 4.7.0 [TSS04] later", True),
    ],
)
def test_a_phrase_is_found_as_whole_words_of_one_sentence(
    phrase: str, text: str, is_about: bool
) -> None:
    rule = Rule(id="mine", cause=Cause.POLICY, words=(phrase,))
    found = classify(refused(f"550 {text}"), table=Table((rule,)))

    assert (found is not None) is is_about


@pytest.mark.parametrize(
    ("status", "text", "is_about"),
    [
        ("5.7.1", "550 5.7.1 x", True),
        ("5.7.1", "450 4.7.1 x", False),
        ("*.7.1", "450 4.7.1 x", True),
        ("5.7.606-649", "550 5.7.606 x", True),
        ("5.7.606-649", "550 5.7.649 x", True),
        ("5.7.606-649", "550 5.7.650 x", False),
        ("5.7.*", "550 5.7.999 x", True),
        ("4.1.1 5.2.*", "550 5.2.9 x", True),
        ("*.0.0", "550 x", True),
    ],
)
def test_a_status_may_be_one_any_of_a_class_or_a_range(
    status: str, text: str, is_about: bool
) -> None:
    rule = Rule(id="mine", cause=Cause.POLICY, status=status)

    assert (classify(refused(text), table=Table((rule,))) is not None) is is_about


@pytest.mark.parametrize(
    "rule",
    [
        Rule(id="x", cause=Cause.POLICY, words=("",)),
        Rule(id="x", cause=Cause.POLICY, words=("*",)),
        Rule(id="x", cause=Cause.POLICY, words=("* full",)),
        Rule(id="x", cause=Cause.POLICY, words=("mailbox *",)),
        Rule(id="x", cause=Cause.POLICY, words=("a*b",)),
        Rule(id="x", cause=Cause.POLICY, words=("grey* listed",)),
        Rule(id="x", cause=Cause.POLICY, words=("user * grey*",)),
        Rule(id="x", cause=Cause.POLICY, but_not=("...",)),
        Rule(id="x", cause=Cause.POLICY, code="250"),
        Rule(id="x", cause=Cause.POLICY, code="3"),
        Rule(id="x", cause=Cause.POLICY, code="55"),
        Rule(id="x", cause=Cause.POLICY, status="5.7"),
        Rule(id="x", cause=Cause.POLICY, status="3.7.1"),
        Rule(id="x", cause=Cause.POLICY, status="5.7.1-"),
    ],
)
def test_a_pattern_that_cannot_be_read_is_refused(rule: Rule) -> None:
    with pytest.raises(ValueError, match="expected"):
        Matcher(rule)


def test_the_receiver_is_known_by_the_name_of_its_host() -> None:
    rule = Rule(id="mine", cause=Cause.POLICY, site="google")
    table = Table((rule,))

    assert classify(refused("550 x", host="gmail-smtp-in.l.google.com"), table=table)
    assert classify(refused("550 x"), "google", table)
    assert classify(refused("550 x", host="l.google.com.attacker.test"), table=table) is None
