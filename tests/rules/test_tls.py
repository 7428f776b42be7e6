import pytest

from mta.model.domain import TlsDemand, TlsLevel

from mta.rules.tls import after_failed_handshake, demand_for


@pytest.mark.parametrize("floor", TlsLevel)
def test_the_demand_is_the_floor(floor: TlsLevel) -> None:
    demand = demand_for(floor)

    assert demand == TlsDemand(floor, is_implicit=False)


def test_a_road_with_implicit_tls_is_asked_for_it() -> None:
    demand = demand_for(TlsLevel.VERIFY, is_implicit=True)

    assert demand == TlsDemand(TlsLevel.VERIFY, is_implicit=True)


def test_after_a_failed_handshake_opportunistic_mail_goes_in_clear() -> None:
    weaker = after_failed_handshake(TlsDemand(TlsLevel.OPPORTUNISTIC))

    assert weaker == TlsDemand(TlsLevel.NONE)


def test_clear_is_tried_once() -> None:
    weaker = after_failed_handshake(TlsDemand(TlsLevel.NONE))

    assert weaker is None


@pytest.mark.parametrize("level", [TlsLevel.REQUIRED, TlsLevel.VERIFY])
def test_where_more_is_demanded_a_failed_handshake_is_the_end(level: TlsLevel) -> None:
    weaker = after_failed_handshake(TlsDemand(level))

    assert weaker is None


def test_nobody_listens_in_clear_where_tls_is_implicit() -> None:
    weaker = after_failed_handshake(TlsDemand(TlsLevel.OPPORTUNISTIC, is_implicit=True))

    assert weaker is None
