"""The listeners' own certificate where the settings name none: self-signed, made when needed."""

import ipaddress
import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_log = logging.getLogger(__name__)

LIFETIME = timedelta(days=3650)
RENEWAL = timedelta(days=30)  # before its end, when a new one is made
LEEWAY = timedelta(days=1)  # for clients whose clock is behind ours


def ensure_self_signed(folder: Path, hostname: str, now: float) -> tuple[Path, Path]:
    """Where the self-signed certificate for `hostname` and its key are.

    They are made where one is missing, or the certificate ends soon; `now` is in Unix seconds. The
    certificate is written last: after a crash between the two it does not fit its key, and both
    are made anew. Raises OSError.
    """
    certificate_path, key_path = self_signed_in(folder)
    if not _is_good(certificate_path, key_path, now):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _self_signed(key, hostname, datetime.fromtimestamp(now, UTC))
        _write(key_path, _pem_of(key), 0o600)
        _write(certificate_path, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
        _log.warning("made a new self-signed certificate for %s: %s", hostname, certificate_path)
    return certificate_path, key_path


def self_signed_in(folder: Path) -> tuple[Path, Path]:
    """Where they are, or would be."""
    return folder / "self-signed.cert.pem", folder / "self-signed.key.pem"


def _is_good(certificate_path: Path, key_path: Path, now: float) -> bool:
    """Whether both are there, fit each other, and last a while."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    except (FileNotFoundError, ValueError, TypeError):  # TypeError: a key with a passphrase
        return False
    ends_at = (certificate.not_valid_after_utc - RENEWAL).timestamp()
    return certificate.public_key() == key.public_key() and now < ends_at


def _self_signed(key: ec.EllipticCurvePrivateKey, hostname: str, now: datetime) -> x509.Certificate:
    # A common name has at most 64 characters (X.520); the alternative name is what is checked.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LEEWAY)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_alternative(hostname)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _alternative(hostname: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(hostname))
    except ValueError:
        return x509.DNSName(hostname)


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, octets: bytes, mode: int) -> None:
    """Put a file in place whole, never for a moment open to others."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with open(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
