from hashlib import sha256, sha512

import pytest

from mta.model.domain import Distrust, Tlsa, TlsDemand, TlsFailure, TlsLevel, TlsProof
from mta.model.outcome import Scope, Verdict

from mta.rules.tls.dane import demand_by, name_of_records, undecided, usable
from mta.rules.tls.proof import proof_in

from tests.pki import authority, issued

DIGEST, LONG_DIGEST = b"d" * 32, b"D" * 64
DER = bytes([0x30, 3, 2, 1, 5])
ROOT = authority("root")
HOST = issued("mx", "mx.there.test", by=authority("intermediate", by=ROOT))
STRANGER = issued("stranger", "mx.there.test", by=authority("another"))


def test_the_records_of_a_port_stand_below_the_host() -> None:
    assert name_of_records("mx.there.test", 25) == "_25._tcp.mx.there.test"


@pytest.mark.parametrize(
    "record",
    [
        *(Tlsa(usage, selector, 1, DIGEST) for usage in (2, 3) for selector in (0, 1)),
        *(Tlsa(usage, selector, 2, LONG_DIGEST) for usage in (2, 3) for selector in (0, 1)),
        *(Tlsa(usage, selector, 0, DER) for usage in (2, 3) for selector in (0, 1)),
    ],
)
def test_records_for_the_host_s_own_key_or_its_authority_can_be_used(record: Tlsa) -> None:
    assert usable([record]) == (record,)


@pytest.mark.parametrize(
    "record",
    [
        Tlsa(0, 1, 1, DIGEST),  # PKIX-TA
        Tlsa(1, 1, 1, DIGEST),  # PKIX-EE
        Tlsa(4, 1, 1, DIGEST),
        Tlsa(255, 1, 1, DIGEST),
        Tlsa(3, 2, 1, DIGEST),
        Tlsa(3, 1, 3, DIGEST),
        Tlsa(3, 1, 1, b""),
        Tlsa(3, 1, 1, DIGEST[1:]),
        Tlsa(3, 1, 1, LONG_DIGEST),
        Tlsa(3, 1, 2, DIGEST),
        Tlsa(3, 0, 0, b""),
        Tlsa(3, 0, 0, b"no certificate"),
        Tlsa(2, 0, 0, DER + b"x"),
    ],
    ids=str,
)
def test_other_records_cannot(record: Tlsa) -> None:
    assert usable([record]) == ()


def test_of_digests_of_one_thing_the_strongest_counts() -> None:
    weak, strong = Tlsa(3, 1, 1, DIGEST), Tlsa(3, 1, 2, LONG_DIGEST)
    of_another, whole = Tlsa(2, 1, 1, DIGEST), Tlsa(3, 1, 0, DER)
    unusable = Tlsa(3, 0, 2, DIGEST)
    not_outdone = Tlsa(3, 0, 1, DIGEST)

    found = usable([weak, of_another, whole, strong, unusable, not_outdone])

    assert found == (of_another, whole, strong, not_outdone)


def test_a_host_with_usable_records_must_prove_that_it_is_theirs() -> None:
    good, bad = Tlsa(3, 1, 1, DIGEST), Tlsa(1, 1, 1, DIGEST)

    demand = demand_by([bad, good], ["mx.there.test", "there.test", "mx.there.test"])

    assert demand == TlsDemand(TlsLevel.VERIFY, names=("mx.there.test", "there.test"), tlsa=(good,))


def test_a_host_with_none_but_unusable_records_must_have_tls_and_prove_nothing() -> None:
    assert demand_by([Tlsa(1, 1, 1, DIGEST)], ["mx.there.test"]) == TlsDemand(TlsLevel.REQUIRED)


def test_more_records_than_anybody_has_are_not_all_looked_at() -> None:
    records = [Tlsa(3, 1, 1, bytes([place]) * 32) for place in range(200)]

    assert len(demand_by(records, ["mx.there.test"]).tlsa) < 50


def test_a_host_waits_whose_records_cannot_be_had() -> None:
    outcome = undecided("mx.there.test", "127.0.0.1: SERVFAIL")

    assert (outcome.verdict, outcome.scope) == (Verdict.DEFERRED, Scope.HOST)
    assert outcome.reply.status == "4.7.5"
    assert outcome.tls_failure is TlsFailure.DNSSEC_INVALID


def test_the_host_s_own_certificate_or_key_is_known_in_each_way() -> None:
    for record in (
        Tlsa(3, 0, 0, HOST.der),
        Tlsa(3, 0, 1, sha256(HOST.der).digest()),
        Tlsa(3, 0, 2, sha512(HOST.der).digest()),
        Tlsa(3, 1, 0, HOST.spki),
        Tlsa(3, 1, 1, sha256(HOST.spki).digest()),
        Tlsa(3, 1, 2, sha512(HOST.spki).digest()),
    ):
        demand = demand_by([record], ["mx.there.test"])

        assert proof_in(HOST.chain, demand) is TlsProof.DANE_EE
        assert isinstance(proof_in(STRANGER.chain, demand), Distrust)
        # The right certificate behind another's shows nothing: anybody can send it along.
        assert isinstance(proof_in([STRANGER.der, HOST.der], demand), Distrust)


def test_an_authority_is_known_in_each_way_and_is_then_to_vouch_for_the_host() -> None:
    for record in (
        Tlsa(2, 0, 0, ROOT.der),
        Tlsa(2, 0, 1, sha256(ROOT.der).digest()),
        Tlsa(2, 0, 2, sha512(ROOT.der).digest()),
        Tlsa(2, 1, 0, ROOT.spki),
        Tlsa(2, 1, 1, sha256(ROOT.spki).digest()),
        Tlsa(2, 1, 2, sha512(ROOT.spki).digest()),
    ):
        assert proof_in(HOST.chain, demand_by([record], ["mx.there.test"])) == (ROOT.der,)


def test_an_authority_that_stands_whole_in_the_dns_need_not_be_shown() -> None:
    demand = demand_by([Tlsa(2, 0, 0, ROOT.der)], ["mx.there.test"])

    assert proof_in(HOST.chain[:2], demand) == (ROOT.der,)


def test_the_host_s_own_certificate_is_no_authority() -> None:
    demand = demand_by([Tlsa(2, 0, 1, sha256(HOST.der).digest())], ["mx.there.test"])

    assert isinstance(proof_in(HOST.chain, demand), Distrust)


def test_a_record_of_the_wrong_thing_is_no_proof() -> None:
    wrong_selector = Tlsa(3, 0, 1, sha256(HOST.spki).digest())

    found = proof_in(HOST.chain, demand_by([wrong_selector], ["mx.there.test"]))

    assert isinstance(found, Distrust)
    assert found.failure is TlsFailure.CERTIFICATE_NOT_TRUSTED


def test_who_shows_nothing_proves_nothing() -> None:
    demand = demand_by([Tlsa(3, 1, 1, DIGEST)], ["mx.there.test"])

    assert isinstance(proof_in([], demand), Distrust)


@pytest.mark.parametrize("shown", [b"\x30", b"\x30\x80\x00\x00", b"no certificate at all"])
def test_what_is_no_certificate_proves_nothing(shown: bytes) -> None:
    by_key = demand_by([Tlsa(3, 1, 1, sha256(b"").digest())], ["mx.there.test"])
    pinned = TlsDemand(TlsLevel.FINGERPRINT, fingerprints=(sha256(b"").hexdigest(),))

    assert isinstance(proof_in([shown], by_key), Distrust)
    assert isinstance(proof_in([shown], pinned), Distrust)


@pytest.mark.parametrize(
    "fingerprint", [HOST.fingerprint, HOST.key_fingerprint], ids=["certificate", "key"]
)
def test_a_fingerprint_is_that_of_the_certificate_or_of_its_key(fingerprint: str) -> None:
    demand = TlsDemand(TlsLevel.FINGERPRINT, fingerprints=("0" * 64, fingerprint))

    assert proof_in(HOST.chain, demand) is TlsProof.FINGERPRINT
    found = proof_in(STRANGER.chain, demand)
    assert isinstance(found, Distrust)
    assert STRANGER.fingerprint in found.text  # for an operator who knows that it was changed
