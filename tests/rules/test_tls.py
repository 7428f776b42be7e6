import pytest

from mta.model.domain import Host, TlsDemand, TlsFacts, TlsLevel
from mta.model.outcome import Reply, Scope, Stage, Verdict, broken, judge
from mta.model.request import NOTHING, MessageRequest

from mta.rules.tls.demand import (
    after_failed_handshake,
    demand_for,
    demand_of,
    is_fit,
    is_vouched_for,
    unprotected,
)


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


REQUIRES = MessageRequest(needs_tls=True)
WAIVES = MessageRequest(waives_tls=True)


@pytest.mark.parametrize(
    ("request_", "road", "published", "level"),
    [
        (NOTHING, TlsLevel.OPPORTUNISTIC, TlsLevel.OPPORTUNISTIC, TlsLevel.OPPORTUNISTIC),
        (NOTHING, TlsLevel.OPPORTUNISTIC, TlsLevel.VERIFY, TlsLevel.VERIFY),
        (NOTHING, TlsLevel.VERIFY, TlsLevel.REQUIRED, TlsLevel.VERIFY),
        (NOTHING, TlsLevel.NONE, TlsLevel.OPPORTUNISTIC, TlsLevel.OPPORTUNISTIC),
        (WAIVES, TlsLevel.OPPORTUNISTIC, TlsLevel.VERIFY, TlsLevel.OPPORTUNISTIC),
        (WAIVES, TlsLevel.REQUIRED, TlsLevel.VERIFY, TlsLevel.REQUIRED),
        (REQUIRES, TlsLevel.OPPORTUNISTIC, TlsLevel.OPPORTUNISTIC, TlsLevel.VERIFY),
        (REQUIRES, TlsLevel.NONE, TlsLevel.OPPORTUNISTIC, TlsLevel.VERIFY),
    ],
)
def test_a_message_may_need_more_or_waive_what_is_not_ours(
    request_: MessageRequest, road: TlsLevel, published: TlsLevel, level: TlsLevel
) -> None:
    demand = demand_of(request_, TlsDemand(road, is_implicit=True), published)

    assert demand == TlsDemand(level, is_implicit=True)


@pytest.mark.parametrize(
    ("tls", "fits"),
    [
        (None, False),
        (TlsFacts("TLSv1.3", "x", is_verified=False), False),
        (TlsFacts("TLSv1.3", "x", is_verified=True), True),
    ],
)
def test_what_requires_tls_fits_a_verified_connection_alone(
    tls: TlsFacts | None, fits: bool
) -> None:
    assert is_fit(tls, REQUIRES) is fits
    assert is_fit(tls, NOTHING)


@pytest.mark.parametrize(
    ("exchanger", "domain", "is_proven"),
    [
        ("there.test", "there.test", True),
        ("mx.there.test", "there.test", True),
        ("[192.0.2.1]", "[192.0.2.1]", True),
        ("there.test", "mail.there.test", False),
        ("elsewhere.test", "there.test", False),
        ("mx-there.test", "there.test", False),
        ("there.test.evil.test", "there.test", False),
    ],
)
def test_a_name_within_the_domain_needs_nobody_to_vouch_for_it(
    exchanger: str, domain: str, is_proven: bool
) -> None:
    assert is_vouched_for(exchanger, domain) is is_proven


HOST = Host("mx.there.test", "192.0.2.1", 25)


def test_what_requires_tls_fails_where_there_is_none() -> None:
    outcome = unprotected(broken(Stage.TLS, HOST, "no STARTTLS", subject=7, detail=5))

    assert (outcome.verdict, outcome.scope, outcome.host) == (Verdict.FAILED, Scope.HOST, HOST)
    assert str(outcome.reply) == "550 5.7.10 the message requires TLS: no STARTTLS"


def test_what_requires_tls_fails_where_it_is_refused_for_good() -> None:
    outcome = unprotected(judge(Reply(502, "never", 5, 1), Stage.TLS, HOST))

    assert (outcome.verdict, outcome.reply.status) == (Verdict.FAILED, "5.7.10")


def test_what_requires_tls_waits_for_tls_that_is_to_come_back() -> None:
    refused = judge(Reply(454, "not now", 7, 0), Stage.TLS, HOST)

    assert unprotected(refused) is refused
