import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.model.address import Address, parse_address

from mta.rules.message.srs import DAY, MAX_AGE, Srs

NOW = 1_800_000_000.0
HERE = Srs("here.test", b"secret")
NEXT = Srs("next.test", b"another secret")
LAST = Srs("last.test", b"a third")
ANN = parse_address("ann@there.test")


def forwarded(srs: Srs, sender: Address, now: float = NOW) -> Address:
    address = srs.forward(sender, now)
    assert address is not None
    return address


def test_a_sender_is_rewritten_below_our_domain_and_found_again() -> None:
    ours = forwarded(HERE, ANN)

    assert str(ours).startswith("SRS0=")
    assert str(ours).endswith("=there.test=ann@here.test")
    assert HERE.reverse(ours, NOW) == ANN


def test_a_sender_of_our_own_stays() -> None:
    assert HERE.forward(parse_address("bob@here.test"), NOW) == parse_address("bob@here.test")


def test_the_next_forwarder_keeps_the_first_and_the_one_after_drops_the_one_between() -> None:
    first = forwarded(HERE, ANN)
    second = forwarded(NEXT, first)
    third = forwarded(LAST, second)

    assert second.local.startswith("SRS1=")
    assert "=here.test==" in second.local
    assert NEXT.reverse(second, NOW) == first
    assert LAST.reverse(third, NOW) == first
    assert len(third.local) == len(second.local)


@pytest.mark.parametrize("change", [str.upper, str.lower])
def test_servers_that_change_the_case_of_local_parts_do_no_harm(change: object) -> None:
    assert callable(change)
    ours = forwarded(HERE, ANN)

    back = HERE.reverse(Address(change(ours.local), ours.domain), NOW)

    assert isinstance(back, Address)
    assert str(back).lower() == str(ANN)


@pytest.mark.parametrize(
    ("days", "is_good"), [(0, True), (MAX_AGE, True), (MAX_AGE + 1, False), (900, False)]
)
def test_an_address_ends_after_three_weeks(days: int, is_good: bool) -> None:
    ours = forwarded(HERE, ANN)

    back = HERE.reverse(ours, NOW + days * DAY)

    assert isinstance(back, Address) is is_good


@pytest.mark.parametrize(
    "local",
    [
        "SRS0=aaaaaa=aa=there.test=victim",
        "SRS0=aaaaaa=aa=there.test",
        "SRS0",
        "SRS0=",
        "SRS1=aaaaaa=victim.test==x=aa=y.test=z",
        "SRS1",
        "srs0+aaaaaa=aa=there.test=victim",
        "SRS0=" + "=" * 40,
    ],
)
def test_an_address_that_we_did_not_make_leads_nowhere(local: str) -> None:
    address = Address(local, "here.test")

    assert HERE.is_ours(address)
    assert isinstance(HERE.reverse(address, NOW), str)


@pytest.mark.parametrize("place", range(4, 29))
def test_no_character_of_our_addresses_can_be_changed(place: int) -> None:
    ours = forwarded(HERE, ANN).local
    other = "q" if ours[place].lower() != "q" else "r"

    changed = HERE.reverse(Address(ours[:place] + other + ours[place + 1 :], "here.test"), NOW)

    assert isinstance(changed, str)


def test_another_s_secret_makes_no_address_of_ours() -> None:
    forged = forwarded(Srs("here.test", b"a guess"), ANN)

    assert HERE.reverse(forged, NOW) == "its hash is wrong"


def test_a_sender_that_does_not_fit_is_not_rewritten() -> None:
    assert HERE.forward(parse_address(f"{'a' * 60}@there.test"), NOW) is None


def test_only_addresses_of_our_domain_are_ours() -> None:
    assert not HERE.is_ours(parse_address("SRS0=x@there.test"))
    assert not HERE.is_ours(parse_address("ann@here.test"))


def test_the_secret_is_not_shown() -> None:
    assert "secret" not in repr(HERE)


@given(st.text("abcz019._+=-", min_size=1, max_size=30), st.floats(0, 4e9))
def test_whatever_is_rewritten_comes_back(local: str, now: float) -> None:
    try:
        sender = parse_address(f"{local}@there.test")
    except ValueError:
        return

    ours = HERE.forward(sender, now)

    if ours is not None:
        assert HERE.reverse(parse_address(str(ours)), now) == sender


@given(st.text(min_size=0, max_size=60))
def test_whatever_comes_is_an_address_or_a_reason(local: str) -> None:
    assert isinstance(HERE.reverse(Address(f"SRS0={local}", "here.test"), NOW), str)
