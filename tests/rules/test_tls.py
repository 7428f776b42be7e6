from dataclasses import replace

import pytest

from mta.model.domain import Host, Tlsa, TlsDemand, TlsFacts, TlsLevel
from mta.model.outcome import Reply, Scope, Stage, Verdict, broken, judge
from mta.model.request import NOTHING, MessageRequest

from mta.rules.tls.demand import (
    after_failed_handshake,
    demand_for,
    demand_of,
    is_fit,
    is_vouched_for,
    may_share,
    raised,
    tentative,
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


NONE, OPPORTUNISTIC, REQUIRED, VERIFY, FINGERPRINT = (TlsDemand(level) for level in TlsLevel)
BY_DANE = TlsDemand(TlsLevel.VERIFY, names=("mx.there.test",), tlsa=(Tlsa(3, 1, 1, b"0" * 32),))
BY_NAME = TlsDemand(TlsLevel.VERIFY, names=("mx.there.test",))


@pytest.mark.parametrize(
    ("request_", "road", "published", "demand"),
    [
        (NOTHING, OPPORTUNISTIC, None, OPPORTUNISTIC),
        (NOTHING, OPPORTUNISTIC, REQUIRED, REQUIRED),
        (NOTHING, OPPORTUNISTIC, BY_DANE, BY_DANE),
        (NOTHING, NONE, BY_NAME, BY_NAME),
        (NOTHING, VERIFY, REQUIRED, VERIFY),
        (NOTHING, VERIFY, BY_DANE, BY_DANE),
        (NOTHING, VERIFY, BY_NAME, BY_NAME),
        (NOTHING, FINGERPRINT, BY_DANE, FINGERPRINT),
        (WAIVES, OPPORTUNISTIC, BY_DANE, OPPORTUNISTIC),
        (WAIVES, REQUIRED, BY_DANE, REQUIRED),
        (WAIVES, FINGERPRINT, None, FINGERPRINT),
        (REQUIRES, OPPORTUNISTIC, None, VERIFY),
        (REQUIRES, NONE, None, VERIFY),
        (REQUIRES, OPPORTUNISTIC, REQUIRED, VERIFY),
        (REQUIRES, OPPORTUNISTIC, BY_DANE, BY_DANE),
        (REQUIRES, FINGERPRINT, BY_DANE, FINGERPRINT),
        (MessageRequest(needs_tls=True, waives_tls=True), OPPORTUNISTIC, BY_DANE, BY_DANE),
    ],
)
def test_a_message_may_need_more_or_waive_what_is_not_ours(
    request_: MessageRequest, road: TlsDemand, published: TlsDemand | None, demand: TlsDemand
) -> None:
    road_with_implicit_tls = replace(road, is_implicit=True)

    found = demand_of(request_, road_with_implicit_tls, published)

    assert found == replace(demand, is_implicit=True)


@pytest.mark.parametrize(
    ("opened_for", "may_be_shared_by"),
    [
        (WAIVES, {"waives"}),
        (NOTHING, {"waives", "plain"}),
        (REQUIRES, {"waives", "plain", "requires"}),
    ],
)
def test_a_connection_is_shared_by_what_asks_no_more_of_the_host(
    opened_for: MessageRequest, may_be_shared_by: set[str]
) -> None:
    requests = {"waives": WAIVES, "plain": NOTHING, "requires": REQUIRES}

    sharing = {name for name, request in requests.items() if may_share(opened_for, request)}

    assert sharing == may_be_shared_by


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


@pytest.mark.parametrize(
    ("is_secure", "published", "is_proven"),
    [
        (False, None, False),
        (False, REQUIRED, False),
        (False, BY_NAME, True),
        (True, None, True),
        (True, BY_DANE, True),
    ],
)
def test_a_stranger_s_name_is_vouched_for_by_a_signed_answer_or_a_policy(
    is_secure: bool, published: TlsDemand | None, is_proven: bool
) -> None:
    found = is_vouched_for("mx.elsewhere.test", "there.test", published, is_secure=is_secure)

    assert found is is_proven


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


OPPORTUNISTIC, REQUIRED, VERIFY = (
    TlsDemand(level) for level in (TlsLevel.OPPORTUNISTIC, TlsLevel.REQUIRED, TlsLevel.VERIFY)
)
BY_FINGERPRINT = TlsDemand(TlsLevel.FINGERPRINT, fingerprints=("00" * 32,))


@pytest.mark.parametrize(
    ("demand", "tried"),
    [
        (OPPORTUNISTIC, replace(VERIFY, otherwise=OPPORTUNISTIC)),
        (REQUIRED, replace(VERIFY, otherwise=REQUIRED)),
        (VERIFY, VERIFY),
        (BY_FINGERPRINT, BY_FINGERPRINT),
    ],
)
def test_a_trial_asks_for_a_proof_and_then_for_what_was_asked(
    demand: TlsDemand, tried: TlsDemand
) -> None:
    assert tentative(demand) == tried
    assert after_failed_handshake(tried) == (None if tried == demand else demand)


@pytest.mark.parametrize(
    ("demand", "level", "expected"),
    [
        (OPPORTUNISTIC, TlsLevel.REQUIRED, REQUIRED),
        (OPPORTUNISTIC, TlsLevel.VERIFY, VERIFY),
        (VERIFY, TlsLevel.REQUIRED, VERIFY),
        (BY_FINGERPRINT, TlsLevel.VERIFY, BY_FINGERPRINT),
        (tentative(OPPORTUNISTIC), TlsLevel.REQUIRED, tentative(REQUIRED)),
    ],
)
def test_a_demand_is_raised_with_all_that_is_tried_after_it(
    demand: TlsDemand, level: TlsLevel, expected: TlsDemand
) -> None:
    assert raised(demand, level) == expected
