"""Whose mail is taken."""

import pytest

from mta.model.address import Address

from mta.rules.admission import objection_to_sender

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
