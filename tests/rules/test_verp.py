"""The sender that each recipient sees."""

import pytest

from mta.model.address import parse_address

from mta.rules.message.verp import MAX_LOCAL, verp_sender

LIST = parse_address("list@example.com")


def test_it_names_the_recipient() -> None:
    found = verp_sender(LIST, parse_address("bob.x@there.test"))

    assert str(found) == "list+bob.x=there.test@example.com"
    assert parse_address(str(found)) == found


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [
        ("list@example.com", '"b o"@there.test'),
        ('"my list"@example.com', "bob@there.test"),
        ("list@example.com", "bob@[192.0.2.1]"),
        ("list@example.com", "bób@there.test"),
        ("list@example.com", f"{'b' * (MAX_LOCAL - len('list+=there.test') + 1)}@there.test"),
    ],
)
def test_where_that_is_no_address_the_sender_stays(sender: str, recipient: str) -> None:
    plain = parse_address(sender)

    assert verp_sender(plain, parse_address(recipient)) == plain


def test_what_just_fits_is_taken() -> None:
    local = "b" * (MAX_LOCAL - len("list+=there.test"))

    assert len(verp_sender(LIST, parse_address(f"{local}@there.test")).local) == MAX_LOCAL
