"""Keys for DKIM: made, read from disk once, and used, by way of `cryptography`."""

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from mta.model.trouble import SigningError

from mta.rules.message.dkimrecord import KeyKind

MIN_BITS = 1024  # what verifiers accept at all, RFC 8301 §3.2
GOOD_BITS = 2048  # what the large receivers ask for
MAX_OCTETS = 64 * 1024


@dataclass(frozen=True, slots=True)
class RsaKey:
    """A private key, parsed. Any thread may use it."""

    _key: RSAPrivateKey

    @property
    def kind(self) -> KeyKind:
        """What its record calls it."""
        return KeyKind.RSA

    @property
    def bits(self) -> int:
        """Its length."""
        return self._key.key_size

    @property
    def is_weak(self) -> bool:
        """Whether receivers may think less of mail that it signs."""
        return self.bits < GOOD_BITS

    @property
    def public(self) -> str:
        """The public half, as the p= tag of a DNS record has it (RFC 6376 §3.6.1)."""
        encoded = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(encoded).decode("ascii")

    def sign(self, data: bytes) -> bytes:
        """The RSASSA-PKCS1-v1_5 signature of `data` with SHA-256."""
        return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())


@dataclass(frozen=True, slots=True)
class Ed25519Key:
    """The same, for keys of RFC 8463."""

    _key: Ed25519PrivateKey

    @property
    def kind(self) -> KeyKind:
        """What its record calls it."""
        return KeyKind.ED25519

    @property
    def bits(self) -> int:
        """Its length."""
        return 256

    @property
    def is_weak(self) -> bool:
        """Never: there is one length."""
        return False

    @property
    def public(self) -> str:
        """The public half, bare, as the p= tag of a DNS record has it (RFC 8463 §4.2)."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode("ascii")

    def sign(self, data: bytes) -> bytes:
        """The PureEdDSA signature of the SHA-256 digest of `data` (RFC 8463 §3)."""
        return self._key.sign(hashlib.sha256(data).digest())


PrivateKey = RsaKey | Ed25519Key


def load_key(path: Path) -> PrivateKey:
    """The key in a PEM file, in PKCS#1 or PKCS#8.

    Raises SigningError, which names the file and the cure.
    """
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_OCTETS)
    except FileNotFoundError as error:
        raise SigningError(f"{path}: no such file; `mta dkim new` makes a key") from error
    except OSError as error:
        raise SigningError(
            f"{path}: {error.strerror}; let the user that mta runs as read it"
        ) from error
    return _parsed(octets, path)


def _parsed(octets: bytes, path: Path) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(octets, password=None)
    except TypeError as error:  # the library's word for "encrypted"
        raise SigningError(f"{path}: needs a passphrase; save the key without one") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SigningError(
            f"{path}: expected a private key in PEM (-----BEGIN PRIVATE KEY-----)"
        ) from error
    if isinstance(key, Ed25519PrivateKey):
        return Ed25519Key(key)
    if not isinstance(key, RSAPrivateKey):
        raise SigningError(f"{path}: expected an RSA or Ed25519 key; `mta dkim new` makes one")
    if key.key_size < MIN_BITS:
        raise SigningError(
            f"{path}: expected {GOOD_BITS} bits, got {key.key_size}, which no verifier accepts; "
            "`mta dkim new` makes a better one"
        )
    return RsaKey(key)


def new_key(path: Path, kind: KeyKind = KeyKind.RSA) -> PrivateKey:
    """Make a key, of 2048 bits if it is RSA, and keep it at `path` in PKCS#8.

    Its owner alone can read the file. Raises FileExistsError rather than overwrite, and OSError.
    """
    made: PrivateKey
    if kind is KeyKind.ED25519:
        made = Ed25519Key(Ed25519PrivateKey.generate())
    else:
        made = RsaKey(generate_private_key(public_exponent=65537, key_size=GOOD_BITS))
    encoded = made._key.private_bytes(  # noqa: SLF001 - nobody else is to have it
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:
        file.write(encoded)
        file.flush()
        os.fsync(descriptor)
    return made
