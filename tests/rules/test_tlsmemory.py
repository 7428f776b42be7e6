"""What is remembered of the TLS of domains and hosts, and for how long."""

import pytest

from mta.model.domain import TlsFacts, TlsLevel

from mta.rules.tls.memory import Broken, MemoryTerms, Seen, TlsMemory

NOW = 1_800_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR
TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", is_verified=False)
TERMS = MemoryTerms(levels=3 * DAY, handshakes=3 * DAY)


def memory(terms: MemoryTerms = TERMS) -> TlsMemory:
    return TlsMemory(terms)


@pytest.mark.parametrize(
    ("is_enforced", "after", "level"),
    [
        (False, 0.0, TlsLevel.REQUIRED),
        (False, 3 * DAY - 1, TlsLevel.REQUIRED),
        (False, 3 * DAY, TlsLevel.OPPORTUNISTIC),
        (False, -HOUR, TlsLevel.OPPORTUNISTIC),  # the clock was set back
        (True, 0.0, TlsLevel.VERIFY),
        (True, 3 * DAY - 1, TlsLevel.VERIFY),
        (True, 3 * DAY, TlsLevel.OPPORTUNISTIC),
    ],
)
def test_a_domain_is_held_to_what_it_had(
    *, is_enforced: bool, after: float, level: TlsLevel
) -> None:
    domains = memory()
    domains.saw("there.test", TLS, NOW, is_enforced=is_enforced)

    assert domains.level_of("there.test", NOW + after) is level
    assert domains.level_of("elsewhere.test", NOW + after) is TlsLevel.OPPORTUNISTIC


def test_a_domain_that_goes_on_with_tls_goes_on_being_held_to_it() -> None:
    domains = memory()

    for day in range(10):
        domains.saw("there.test", TLS, NOW + day * DAY, is_enforced=False)

    assert domains.level_of("there.test", NOW + 11 * DAY) is TlsLevel.REQUIRED
    assert domains.held_until("there.test") == NOW + 12 * DAY


def test_a_proof_is_remembered_from_when_it_was_last_asked_for() -> None:
    domains = memory()
    domains.saw("there.test", TLS, NOW, is_enforced=True)
    domains.saw("there.test", TLS, NOW + 2 * DAY, is_enforced=False)

    assert domains.level_of("there.test", NOW + 3 * DAY - 1) is TlsLevel.VERIFY
    assert domains.level_of("there.test", NOW + 3 * DAY) is TlsLevel.REQUIRED


def test_a_domain_that_asks_for_no_proof_any_more_is_held_to_tls_alone() -> None:
    domains = memory()
    domains.saw("there.test", TLS, NOW, is_enforced=True)

    domains.relax("there.test")
    domains.relax("elsewhere.test")

    assert domains.level_of("there.test", NOW) is TlsLevel.REQUIRED


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1.1"])
def test_nobody_is_held_to_a_tls_that_could_not_be_demanded(version: str) -> None:
    domains = memory()

    domains.saw(
        "old.test", TlsFacts(version, "AES128-SHA", is_verified=False), NOW, is_enforced=False
    )

    assert domains.level_of("old.test", NOW) is TlsLevel.OPPORTUNISTIC


def test_a_domain_can_be_let_go() -> None:
    domains = memory()
    domains.saw("there.test", TLS, NOW, is_enforced=True)

    assert domains.forget("there.test")
    assert not domains.forget("there.test")

    assert domains.level_of("there.test", NOW) is TlsLevel.OPPORTUNISTIC


def test_a_host_whose_handshake_failed_is_known_for_a_while() -> None:
    hosts = memory()
    assert not hosts.is_broken("mx.there.test", NOW)

    assert hosts.went_in_clear("mx.there.test", NOW)

    assert hosts.is_broken("mx.there.test", NOW + 3 * DAY - 1)
    assert not hosts.is_broken("mx.there.test", NOW + 3 * DAY)
    assert not hosts.is_broken("other.there.test", NOW)


def test_a_handshake_that_works_again_ends_it() -> None:
    hosts = memory()
    hosts.went_in_clear("mx.there.test", NOW)

    hosts.works("mx.there.test")

    assert not hosts.is_broken("mx.there.test", NOW)


def test_what_went_in_clear_is_counted() -> None:
    hosts = memory()
    hosts.went_in_clear("mx.there.test", NOW)
    for _ in range(4):
        assert not hosts.went_in_clear("mx.there.test", NOW + HOUR)
    assert hosts.went_in_clear("mx.there.test", NOW + 3 * DAY)  # it was tried again

    changed = hosts.changed()

    assert changed is not None
    assert changed[1] == {"mx.there.test": Broken(NOW + 3 * DAY, in_clear=6)}


def test_without_terms_nothing_is_remembered() -> None:
    forgetful = memory(MemoryTerms())
    forgetful.saw("there.test", TLS, NOW, is_enforced=True)
    forgetful.went_in_clear("mx.there.test", NOW)

    assert forgetful.level_of("there.test", NOW) is TlsLevel.OPPORTUNISTIC
    assert not forgetful.is_broken("mx.there.test", NOW)
    assert forgetful.changed() is None


def test_it_goes_on_where_it_ended() -> None:
    before, after = memory(), memory()
    before.saw("there.test", TLS, NOW, is_enforced=True)
    before.went_in_clear("mx.there.test", NOW)
    kept = before.changed()
    assert kept is not None
    assert before.changed() is None

    after.restore(kept[0].items(), kept[1].items())

    assert after.level_of("there.test", NOW) is TlsLevel.VERIFY
    assert after.is_broken("mx.there.test", NOW)


def test_a_second_connection_within_the_hour_is_not_written_down() -> None:
    domains = memory()
    domains.saw("there.test", TLS, NOW, is_enforced=True)
    domains.changed()

    domains.saw("there.test", TLS, NOW + HOUR, is_enforced=True)

    assert domains.changed() is None


def test_its_size_has_a_bound() -> None:
    small = TlsMemory(TERMS, size=10)
    for number in range(20):
        small.saw(f"d{number}.test", TLS, NOW, is_enforced=False)
        small.went_in_clear(f"mx{number}.test", NOW)

    kept = small.changed()

    assert kept is not None
    assert list(kept[0]) == [f"d{number}.test" for number in range(10, 20)]
    assert list(kept[1]) == [f"mx{number}.test" for number in range(10, 20)]


def test_what_counts_no_more_is_let_go() -> None:
    domains = memory()
    domains.restore(
        [("old.test", Seen(NOW - 3 * DAY)), ("there.test", Seen(NOW))],
        [("mx.old.test", Broken(NOW - 3 * DAY)), ("mx.there.test", Broken(NOW))],
    )
    domains.went_in_clear("new.test", NOW)

    domains.tidy(NOW)

    kept = domains.changed()
    assert kept is not None
    assert list(kept[0]) == ["there.test"]
    assert list(kept[1]) == ["mx.there.test", "new.test"]
