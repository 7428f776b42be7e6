"""What is counted for reports: by day, domain and policy."""

from mta.model.domain import TlsFailure
from mta.model.tlsreport import Applied, Counted, Failing, PolicyKind

from mta.rules.tls.tally import (
    DAY,
    MAX_DOMAINS,
    MAX_FAILURES,
    MAX_POLICIES,
    MAX_TEXT,
    MAX_WEIGHT,
    Tally,
    day_of,
)

NOON = 20_000 * DAY + DAY / 2
NONE = Applied("there.test", PolicyKind.NONE)
STS = Applied("there.test", PolicyKind.STS, ("version: STSv1",), ("mx.there.test",))
EXPIRED = Failing(TlsFailure.CERTIFICATE_EXPIRED, "mx.there.test", "192.0.2.1", "expired")


def test_each_day_domain_and_policy_is_counted_apart() -> None:
    tally = Tally()

    for now in (NOON, NOON, NOON + DAY):
        tally.succeeded(STS, now)
    tally.succeeded(NONE, NOON)
    tally.failed(STS, EXPIRED, NOON)
    tally.failed(STS, EXPIRED, NOON)

    assert tally.of_domain("there.test", day_of(NOON)) == [
        Counted(20_000, STS, 2, ((EXPIRED, 2),)),
        Counted(20_000, NONE, 1),
    ]
    assert tally.of_domain("there.test", day_of(NOON) + 1) == [Counted(20_001, STS, 1)]


def test_a_day_is_finished_when_the_next_begins() -> None:
    tally = Tally()
    tally.succeeded(STS, NOON)
    tally.succeeded(NONE, NOON)
    tally.succeeded(STS, NOON + DAY)

    assert tally.finished(NOON) == []
    assert tally.finished(20_001 * DAY) == [(20_000, "there.test")]

    tally.settle(20_000, "there.test")

    assert tally.finished(20_001 * DAY) == []
    assert tally.of_domain("there.test", 20_001) != []


def test_it_goes_on_where_it_ended() -> None:
    before, after = Tally(), Tally()
    before.succeeded(STS, NOON)
    before.failed(STS, EXPIRED, NOON)
    kept = before.changed()
    assert kept is not None
    assert before.changed() is None

    after.restore(kept)
    assert after.changed() is None
    after.failed(STS, EXPIRED, NOON)

    assert after.counted == [Counted(20_000, STS, 1, ((EXPIRED, 2),))]


def test_failures_of_too_many_kinds_are_counted_without_their_hosts() -> None:
    tally = Tally()

    for number in range(MAX_FAILURES + 7):
        tally.failed(STS, Failing(TlsFailure.VALIDATION_FAILURE, f"mx{number}.there.test"), NOON)

    (counted,) = tally.counted
    assert len(counted.failures) == MAX_FAILURES + 1
    assert counted.failures[-1] == (Failing(TlsFailure.VALIDATION_FAILURE), 7)


def test_what_a_failure_says_has_a_bound() -> None:
    tally = Tally()

    tally.failed(STS, Failing(TlsFailure.VALIDATION_FAILURE, text="x" * 10_000), NOON)

    assert len(tally.counted[0].failures[0][0].text) == MAX_TEXT


def test_so_many_domains_are_counted_at_most() -> None:
    tally = Tally()

    for number in range(MAX_DOMAINS + 5):
        tally.succeeded(Applied(f"d{number}.test", PolicyKind.NONE), NOON)
    tally.succeeded(Applied("d0.test", PolicyKind.NONE), NOON)

    assert len(tally.counted) == MAX_DOMAINS
    assert tally.counted[0].successes == 2


def test_a_domain_has_so_many_policies_in_a_day_at_most() -> None:
    tally = Tally()

    for number in range(MAX_POLICIES + 5):
        tally.succeeded(Applied("there.test", PolicyKind.STS, (f"id {number}",)), NOON)

    assert [one.successes for one in tally.counted] == [1] * (MAX_POLICIES - 1) + [6]


def test_policies_have_so_much_text_at_most() -> None:
    tally = Tally()
    text = "x" * (MAX_WEIGHT // 4)

    for number in range(9):
        tally.succeeded(Applied(f"d{number}.test", PolicyKind.STS, (text,)), NOON)
    assert sum(len(line) for one in tally.counted for line in one.applied.lines) <= MAX_WEIGHT
    assert len(tally.counted) == 9

    tally.settle(20_000, "d0.test")
    tally.succeeded(Applied("d9.test", PolicyKind.STS, (text,)), NOON)

    assert tally.of_domain("d9.test", 20_000)[0].applied.lines == (text,)
