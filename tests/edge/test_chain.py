"""Chains of certificates, from strangers."""

import time

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mta.model.domain import TlsFailure

from mta.edge.chain import objection_to_chain

from tests.pki import Credential, authority, issued

ROOT = authority("root")
MIDDLE = authority("middle", by=ROOT)
HOST = issued("mx", "mx.there.test", by=MIDDLE)
NAMES = ("mx.there.test", "there.test")
NO_SIGNATURES = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def failure(
    host: Credential, anchor: Credential = ROOT, chain: list[bytes] | None = None
) -> TlsFailure | None:
    objection = objection_to_chain(chain or host.chain, (anchor.der,), NAMES, time.time())
    return objection.failure if objection else None


def test_a_chain_to_the_anchor_proves_a_name() -> None:
    assert failure(HOST) is None


def test_the_anchor_may_be_in_the_middle() -> None:
    assert failure(HOST, MIDDLE) is None


def test_the_anchor_need_not_be_shown() -> None:
    assert failure(HOST, chain=HOST.chain[:2]) is None


def test_what_else_is_shown_is_passed_over() -> None:
    others = [b"no certificate", authority("another").der]

    assert failure(HOST, chain=[HOST.der, *others, *HOST.chain[1:]]) is None


def test_any_of_the_names_will_do_and_a_star_too() -> None:
    assert failure(issued("mx", "there.test", by=ROOT)) is None
    assert failure(issued("mx", "other.test", "*.there.test", by=ROOT)) is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (issued("mx", "other.test", by=ROOT), TlsFailure.CERTIFICATE_HOST_MISMATCH),
        (issued("mx.there.test", by=ROOT), TlsFailure.CERTIFICATE_HOST_MISMATCH),  # no DNS name
        (issued("mx", "mx.there.test", by=ROOT, is_expired=True), TlsFailure.CERTIFICATE_EXPIRED),
        (issued("mx", "mx.there.test"), TlsFailure.CERTIFICATE_NOT_TRUSTED),
        (
            issued("mx", "mx.there.test", by=authority("root")),  # of the same name
            TlsFailure.CERTIFICATE_NOT_TRUSTED,
        ),
        (
            issued("mx", "mx.there.test", by=issued("no authority", by=ROOT)),
            TlsFailure.CERTIFICATE_NOT_TRUSTED,
        ),
        (
            issued("mx", "mx.there.test", by=authority("old", by=ROOT, is_expired=True)),
            TlsFailure.CERTIFICATE_NOT_TRUSTED,
        ),
        (
            issued(
                "mx",
                "mx.there.test",
                by=authority("below", by=authority("last", by=ROOT, path_length=0)),
            ),
            TlsFailure.CERTIFICATE_NOT_TRUSTED,
        ),
        (
            issued(
                "mx", "mx.there.test", by=authority("mute", by=ROOT, extensions=[NO_SIGNATURES])
            ),
            TlsFailure.CERTIFICATE_NOT_TRUSTED,
        ),
        (
            issued(
                "mx",
                "mx.there.test",
                by=authority(
                    "narrow",
                    by=ROOT,
                    extensions=[x509.NameConstraints([x509.DNSName("good.test")], None)],
                ),
            ),
            TlsFailure.CERTIFICATE_NOT_TRUSTED,
        ),
        (
            issued(
                "mx",
                "mx.there.test",
                by=ROOT,
                extensions=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])],
            ),
            TlsFailure.CERTIFICATE_NOT_TRUSTED,
        ),
    ],
    ids=[
        "another name",
        "a common name alone",
        "expired",
        "self-signed",
        "another authority of that name",
        "by no authority",
        "by an expired authority",
        "by one too far down",
        "by one that may not sign",
        "outside the authority's names",
        "not for servers",
    ],
)
def test_every_other_chain_proves_nothing(host: Credential, expected: TlsFailure) -> None:
    assert failure(host) is expected


def test_one_for_servers_is_taken() -> None:
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])

    assert failure(issued("mx", "mx.there.test", by=ROOT, extensions=[usage])) is None


@pytest.mark.parametrize("chain", [[b""], [b"no certificate"], [HOST.der[:-1]]])
def test_what_is_no_certificate_proves_nothing(chain: list[bytes]) -> None:
    assert failure(HOST, chain=chain) is TlsFailure.CERTIFICATE_NOT_TRUSTED


def test_an_anchor_that_is_no_certificate_vouches_for_nobody() -> None:
    objection = objection_to_chain(HOST.chain, (b"\x30\x00",), NAMES, time.time())

    assert objection is not None


def test_a_long_chain_ends_somewhere() -> None:
    last = ROOT
    for place in range(20):
        last = authority(f"authority {place}", by=last)

    assert failure(issued("mx", "mx.there.test", by=last)) is TlsFailure.CERTIFICATE_NOT_TRUSTED
