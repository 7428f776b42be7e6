"""What a server says that it takes at most."""

import pytest

from mta.model.address import Address

from mta.rules.delivery.limits import NO_LIMITS, Limits, limits_in, within

PEOPLE = tuple(Address(name, f"{name[0]}.test") for name in ("a1", "b1", "a2", "c1", "b2"))


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("", NO_LIMITS),
        ("MAILMAX=5 RCPTMAX=10 RCPTDOMAINMAX=1", Limits(5, 10, 1)),
        ("rcptmax=010", NO_LIMITS),
        ("RCPTMAX=10;MAILMAX=5", NO_LIMITS),
        ("RCPTMAX=0 MAILMAX=-1 RCPTDOMAINMAX=1000000", NO_LIMITS),
        ("OTHER=1 RCPTMAX=999999", Limits(recipients=999_999)),
        ("RCPTMAX=\u0663", NO_LIMITS),
    ],
)
def test_what_cannot_be_read_limits_nothing(text: str, limits: Limits) -> None:
    assert limits_in(text) == limits


@pytest.mark.parametrize(
    ("limits", "mails", "domains", "places"),
    [
        (NO_LIMITS, 100, set(), [0, 1, 2, 3, 4]),
        (Limits(recipients=2), 0, set(), [0, 1]),
        (Limits(mails=2), 1, set(), [0, 1, 2, 3, 4]),
        (Limits(mails=2), 2, set(), []),
        (Limits(domains=1), 0, set(), [0, 2]),
        (Limits(domains=2), 0, set(), [0, 1, 2, 4]),
        (Limits(domains=1), 1, {"b.test"}, [1, 4]),
        (Limits(domains=1), 1, {"x.test"}, []),
        (Limits(recipients=1, domains=2), 1, {"b.test"}, [0]),
    ],
)
def test_a_transaction_is_for_as_many_as_the_server_takes(
    limits: Limits, mails: int, domains: set[str], places: list[int]
) -> None:
    assert within(limits, range(5), PEOPLE, mails=mails, domains=domains) == places
