"""Whether a chain of certificates leads to an authority, by way of `cryptography`."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from mta.model.domain import Anchors, Distrust, TlsFailure

from mta.rules.tls.certificate import is_named

_MAX_DEPTH = 8  # authorities between a host and an anchor


def objection_to_chain(
    chain: Sequence[bytes], anchors: Anchors, names: Sequence[str], now: float
) -> Distrust | None:
    """Why it is not proven that a host has one of `names`; None where it is.

    `chain` is what it showed, its own certificate first; one of `anchors` is to vouch for it. All
    of them are DER from strangers. `now` is in Unix seconds. Names are those of the subject's
    alternative names: a common name is none (RFC 9525 §6.3). Takes about a millisecond.
    """
    own = next(_parsed(chain[:1]), None)
    roots = list(_parsed(anchors))
    if own is None or not roots:
        return _distrust("its certificate or its authority's cannot be read")
    moment = datetime.fromtimestamp(now, UTC)
    try:
        _policy(moment, roots).build_client_verifier().verify(own, list(_parsed(chain[1:])))
        presented = _names_in(own)
    except (VerificationError, ValueError, x509.UnsupportedGeneralNameType) as error:
        if own.not_valid_after_utc < moment:
            return Distrust(TlsFailure.CERTIFICATE_EXPIRED, "its certificate has expired")
        return _distrust(f"no authority that TLSA records name vouches for it: {error}")
    if not is_named(names, presented):
        text = f"its certificate is for none of {', '.join(names)}"
        return Distrust(TlsFailure.CERTIFICATE_HOST_MISMATCH, text)
    return None


def _distrust(text: str) -> Distrust:
    return Distrust(TlsFailure.CERTIFICATE_NOT_TRUSTED, text)


def _parsed(certificates: Sequence[bytes]) -> Iterator[x509.Certificate]:
    """Those that can be read: what is beside the point in a chain may be anything."""
    for certificate in certificates:
        try:
            yield x509.load_der_x509_certificate(certificate)
        except ValueError:
            continue


def _policy(moment: datetime, roots: list[x509.Certificate]) -> PolicyBuilder:
    """What RFC 5280 asks of a path, and nothing of what browsers ask beyond it.

    The library has one verifier that asks for a name itself, and by browsers' rules; the other one
    is said to be for clients, and its rules are ours to choose.
    """
    authority = ExtensionPolicy.permit_all().require_present(
        x509.BasicConstraints, Criticality.AGNOSTIC, None
    )
    authority = authority.may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign)
    host = ExtensionPolicy.permit_all().may_be_present(
        x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _may_serve
    )
    return (
        PolicyBuilder()
        .time(moment.replace(tzinfo=None))
        .store(Store(roots))
        .max_chain_depth(_MAX_DEPTH)
        .extension_policies(ca_policy=authority, ee_policy=host)
    )


def _may_sign(_policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("an authority's key must not sign certificates")


def _may_serve(
    _policy: Policy, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None
) -> None:
    fitting = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    if usage is not None and not any(purpose in fitting for purpose in usage):
        raise ValueError("its certificate is not one for servers")


def _names_in(certificate: x509.Certificate) -> list[str]:
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return alternatives.value.get_values_for_type(x509.DNSName)
