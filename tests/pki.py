"""Certificates of every kind that the tests of proofs need."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Credential:
    """A certificate, its key, and who vouches for it, nearest first."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    above: tuple["Credential", ...] = ()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def spki(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def chain(self) -> list[bytes]:
        """What a server shows that shows all."""
        return [self.der, *(one.der for one in self.above)]

    @property
    def fingerprint(self) -> str:
        return sha256(self.der).hexdigest()

    @property
    def key_fingerprint(self) -> str:
        return sha256(self.spki).hexdigest()

    def pem(self, path: Path, *, shown: int | None = None) -> Path:
        """A file with the certificate, its key and those above, or the first so many of them."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        above = self.above if shown is None else self.above[:shown]
        certificates = [one.certificate.public_bytes(Encoding.PEM) for one in (self, *above)]
        path.write_bytes(b"".join([key, *certificates]))  # in the order that Postfix wants
        return path


def issued(
    subject: str,
    *names: str,
    by: Credential | None = None,
    is_authority: bool = False,
    is_expired: bool = False,
    path_length: int | None = None,
    extensions: Sequence[x509.ExtensionType] = (),
) -> Credential:
    """A certificate for these DNS names; self-signed without `by`."""
    key = ec.generate_private_key(ec.SECP256R1())
    own = _name(subject)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(by.certificate.subject if by else own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=-1 if is_expired else 30))
        .add_extension(x509.BasicConstraints(is_authority, path_length), critical=True)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    signed = builder.sign(by.key if by else key, hashes.SHA256())
    return Credential(signed, key, (by, *by.above) if by else ())


def authority(subject: str, *, by: Credential | None = None, **more: object) -> Credential:
    """One that may vouch for others."""
    return issued(subject, by=by, is_authority=True, **more)  # type: ignore[arg-type]


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
