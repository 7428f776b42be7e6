"""Which route a message takes: the first rule whose every condition holds."""

import pytest

from mta.model.address import Address, parse_address, parse_domain

from mta.rules.message.headers import read_header
from mta.rules.routes.choose import (
    Mail,
    Rule,
    grounds,
    objection,
    route_for,
    route_for_mail,
    rules_for,
)
from mta.rules.routes.patterns import AddressPattern, Glob, read_pattern

BOB = Address("bob", "there.test")
ANN = Address("ann", "sender.test")
HEADER = read_header(b"X-Stream: Bulk\r\nX-Stream: other\r\nSubject: two\r\n lines\r\n\r\nHi\r\n")


def pattern(text: str) -> AddressPattern:
    return read_pattern(text, parse_domain, null_allowed=True)


def header(name: str, text: str) -> tuple[tuple[bytes, Glob], ...]:
    return ((name.encode(), Glob(text)),)


ALL = Rule("all")
NEVER = Rule("never", recipients=(pattern("nobody.test"),))


def chosen(*rules: Rule, recipient: str = "bob@there.test", sender: str = "ann@sender.test") -> str:
    mail = Mail(parse_address(sender) if sender else None, "shop", ("receipts", "eu"), HEADER)
    return route_for_mail(rules, parse_address(recipient), mail)


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (Rule("r"), True),
        (Rule("r", recipients=(pattern("there.test"),)), True),
        (Rule("r", recipients=(pattern("else.test"), pattern("there.test"))), True),
        (Rule("r", recipients=(pattern("else.test"),)), False),
        (Rule("r", senders=(pattern("ann@sender.test"),)), True),
        (Rule("r", senders=(pattern("<>"),)), False),
        (Rule("r", users=frozenset({"shop", "blog"})), True),
        (Rule("r", users=frozenset({"blog"})), False),
        (Rule("r", tags=frozenset({"eu"})), True),
        (Rule("r", tags=frozenset({"us"})), False),
        (Rule("r", headers=header("x-stream", "bulk")), True),
        (Rule("r", headers=header("x-stream", "oth*")), True),  # any field of that name
        (Rule("r", headers=header("subject", "two lines")), True),
        (Rule("r", headers=header("x-stream", "none")), False),
        (Rule("r", headers=header("x-nothing", "*")), False),
        (Rule("r", headers=header("x-stream", "bulk") + header("x-nothing", "*")), False),
        (Rule("r", recipients=(pattern("there.test"),), users=frozenset({"blog"})), False),
    ],
)
def test_a_rule_fits_where_each_of_its_conditions_holds(rule: Rule, fits: bool) -> None:
    assert chosen(rule) == ("r" if fits else "")


def test_the_first_rule_that_fits_is_taken() -> None:
    assert chosen(NEVER, Rule("first"), ALL) == "first"


def test_where_no_rule_fits_mail_takes_the_default_route() -> None:
    assert chosen() == ""
    assert chosen(NEVER) == ""


def test_a_report_of_ours_can_be_told_by_its_sender() -> None:
    assert chosen(Rule("r", senders=(pattern("<>"),)), sender="") == "r"


def test_recipients_of_one_message_may_take_different_routes() -> None:
    rules = (Rule("there", recipients=(pattern("there.test"),)), ALL)
    fitting = rules_for(rules, Mail(ANN, "", (), HEADER))

    assert [route_for(fitting, one) for one in (BOB, ANN)] == ["there", "all"]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (ALL, ""),
        (NEVER, "recipient is not nobody.test"),
        (Rule("r", senders=(pattern("<>"),)), "sender is not <>"),
        (Rule("r", users=frozenset({"blog", "app"})), "user is not app or blog"),
        (Rule("r", tags=frozenset({"us"})), "no tag is us"),
        (Rule("r", headers=header("x-stream", "n*")), "no field x-stream is n*"),
    ],
)
def test_it_can_be_said_why_a_rule_does_not_fit(rule: Rule, words: str) -> None:
    assert objection(rule, Mail(ANN, "shop", ("eu",), HEADER), BOB) == words


def test_it_can_be_said_why_a_rule_fits() -> None:
    rule = Rule("r", (pattern("there.test"),), tags=frozenset({"eu"}), headers=header("x", "1"))

    assert grounds(rule) == "recipient is there.test and tag is eu and x is 1"
    assert grounds(ALL) == "it takes all mail"
