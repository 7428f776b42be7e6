"""Whatever a host shows, the key that we find in it is the one that OpenSSL finds, or none is.

So nobody can show a certificate in which we read another's key than the handshake proved.
"""

from warnings import catch_warnings

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hypothesis import given
from hypothesis import strategies as st

from mta.model.domain import Distrust, Tlsa, TlsDemand, TlsLevel

from mta.rules.tls.certificate import NoCertificate, public_key_of
from mta.rules.tls.dane import demand_by
from mta.rules.tls.proof import proof_in

from tests.pki import authority, issued

ROOT = authority("root")
GOOD = issued("mx", "mx.there.test", by=ROOT).der
SPOTS = st.integers(0, len(GOOD) - 1)

CHANGES = st.lists(st.tuples(SPOTS, st.binary(max_size=4), st.integers(0, 4)), max_size=4)
RECORDS = st.builds(
    Tlsa, st.integers(0, 4), st.integers(0, 2), st.integers(0, 3), st.binary(max_size=70)
)


def changed(changes: list[tuple[int, bytes, int]]) -> bytes:
    octets = GOOD
    for at, put, removed in changes:
        octets = octets[:at] + put + octets[at + removed :]
    return octets


@given(CHANGES)
def test_the_key_is_that_of_openssl_or_none(changes: list[tuple[int, bytes, int]]) -> None:
    certificate = changed(changes)
    try:
        found = public_key_of(certificate)
    except NoCertificate:
        return
    try:
        with catch_warnings(action="ignore"):  # of what the library will refuse one day
            key = x509.load_der_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return
    assert found in certificate
    assert load_der_public_key(found) == key  # written in whatever way


@given(st.lists(st.binary(max_size=200) | CHANGES.map(changed), max_size=4), st.lists(RECORDS))
def test_no_chain_and_no_record_is_too_odd(chain: list[bytes], records: list[Tlsa]) -> None:
    demand = demand_by(records, ["mx.there.test"])
    pinned = TlsDemand(TlsLevel.FINGERPRINT, fingerprints=("0" * 64,))

    assert isinstance(proof_in(chain, pinned), Distrust)
    if demand.tlsa:
        found = proof_in(chain, demand)
        assert isinstance(found, Distrust | tuple)
