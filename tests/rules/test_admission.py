"""Whose mail is taken."""

import pytest

from mta.model.address import Address, parse_address
from mta.model.user import User

from mta.rules.submission.admission import objection_to_sender

ANN = Address("ann", "here.test")


@pytest.mark.parametrize(
    ("sender", "senders", "is_taken"),
    [
        (ANN, [], True),
        (ANN, ["here.test"], True),
        (ANN, ["other.test", "here.test"], True),
        (ANN, ["other.test"], False),
        (ANN, ["test"], False),  # a domain is not its parent
        (ANN, ["mail.here.test"], False),
        (Address("ann", "sub.here.test"), ["here.test"], False),
        (None, [], True),
        (None, ["here.test"], True),  # a report has no other sender
    ],
)
def test_mail_is_taken_from_the_domains_that_are_ours(
    sender: Address | None, senders: list[str], is_taken: bool
) -> None:
    assert (objection_to_sender(sender, senders) is None) is is_taken


def test_a_stranger_is_told_which_domain_is_not_ours() -> None:
    objection = objection_to_sender(ANN, ["other.test"])

    assert str(objection) == "550 5.7.1 here.test is not one of this server's sender domains"


@pytest.mark.parametrize(
    ("sender", "own", "is_taken"),
    [
        ("ann@here.test", {"ann@here.test"}, True),
        ("Ann@here.test", {"ann@here.test"}, True),
        ("bob@here.test", {"ann@here.test"}, False),
        ("bob@here.test", {"here.test"}, True),
        ("ann@other.test", {"here.test", "ann@here.test"}, False),
        ("ann@sub.here.test", {"here.test", "ann@here.test"}, False),
        ("ann@ours.test", {"here.test"}, False),  # his own instead of the house's, not beside them
        ("ann@ours.test", set(), True),
        ("ann@other.test", set(), False),
        # What only looks like an address of his.
        ('"ann@here.test"@other.test', {"ann@here.test", "here.test"}, False),
        ("ann%here.test@other.test", {"ann@here.test", "here.test"}, False),
        ("here.test!ann@other.test", {"ann@here.test", "here.test"}, False),
        ('"ann"@here.test', {"ann@here.test"}, False),
        ("ann@[192.0.2.1]", {"ann@here.test", "here.test"}, False),
    ],
)
def test_a_user_sends_from_his_own_senders_or_else_from_ours(
    sender: str, own: set[str], is_taken: bool
) -> None:
    user = User("ann", frozenset(own))

    assert (objection_to_sender(parse_address(sender), ["ours.test"], user) is None) is is_taken


def test_a_user_may_send_reports() -> None:
    assert objection_to_sender(None, ["ours.test"], User("ann", frozenset({"here.test"}))) is None


@pytest.mark.parametrize(
    "sender",
    [
        *("ann%ours.test@evil.test", "ours.test!ann@evil.test", '"ann@ours.test"@evil.test'),
        *("ann@ours.test.evil.test", "ann@evilours.test", "ann@[127.0.0.1]", "ann@[IPv6:::1]"),
        *('"ann@ours.test\\"@evil.test', '"<ann@ours.test>"@evil.test'),
    ],
)
def test_no_local_part_makes_a_stranger_one_of_us(sender: str) -> None:
    try:
        address = parse_address(sender)
    except ValueError:
        return

    assert objection_to_sender(address, ["ours.test"]) is not None
