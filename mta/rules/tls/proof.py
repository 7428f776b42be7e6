"""What the certificates that a host showed prove, where the DNS or the settings know them.

Where an authority of the system is to know them, OpenSSL sees to that in the handshake.
"""

from collections.abc import Sequence
from hashlib import sha256

from mta.model.domain import Anchors, Distrust, Tlsa, TlsDemand, TlsFailure, TlsLevel, TlsProof

from mta.rules.tls.certificate import NoCertificate, public_key_of
from mta.rules.tls.dane import DANE_EE, DANE_TA, fits

MAX_CHAIN = 10  # certificates that are looked at


def proof_in(chain: Sequence[bytes], demand: TlsDemand) -> TlsProof | Anchors | Distrust:
    """What is proven by `chain`: certificates in DER, the host's own first.

    Anchors where that depends on a chain of signatures. For a demand with fingerprints or TLSA
    records that can be used.
    """
    if not chain:
        return Distrust(TlsFailure.VALIDATION_FAILURE, "the host showed no certificate")
    if demand.level is TlsLevel.FINGERPRINT:
        return _by_fingerprint(chain[0], demand.fingerprints)
    if any(_is_known(chain[0], record) for record in demand.tlsa if record.usage == DANE_EE):
        return TlsProof.DANE_EE
    return _by_authority(chain[:MAX_CHAIN], demand.tlsa)


def _by_fingerprint(certificate: bytes, fingerprints: Sequence[str]) -> TlsProof | Distrust:
    shown, key = sha256(certificate).hexdigest(), _key_of(certificate)
    if shown in fingerprints or (key and sha256(key).hexdigest() in fingerprints):
        return TlsProof.FINGERPRINT
    text = f"the fingerprint of its certificate is not expected: {shown}"
    return Distrust(TlsFailure.CERTIFICATE_NOT_TRUSTED, text)


def _by_authority(chain: Sequence[bytes], records: Sequence[Tlsa]) -> Anchors | Distrust:
    """The authorities that the DNS vouches for, of those above the host's own certificate.

    One that stands whole in the DNS need not be shown (RFC 7671 §5.2.2).
    """
    authorities = [record for record in records if record.usage == DANE_TA]
    shown = [
        one for one in chain[1:] if any(_is_known(one, authority) for authority in authorities)
    ]
    whole = [record.data for record in authorities if (record.selector, record.matching) == (0, 0)]
    anchors = tuple(dict.fromkeys(shown + whole))
    if not anchors:
        text = "no TLSA record is that of its certificate"
        return Distrust(TlsFailure.CERTIFICATE_NOT_TRUSTED, text)
    return anchors


def _is_known(certificate: bytes, record: Tlsa) -> bool:
    key = _key_of(certificate)
    return key != b"" and fits(record, certificate, key)


def _key_of(certificate: bytes) -> bytes:
    """Its public key, b"" where none can be read: such a certificate is known to nobody."""
    try:
        return public_key_of(certificate)
    except NoCertificate:
        return b""
