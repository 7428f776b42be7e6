import base64
import hashlib
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mta.model.trouble import SigningError

from mta.rules.message.dkimrecord import KeyKind

from mta.edge.keys import Ed25519Key, load_key, new_key

EXAMPLE = Path(__file__).parent.parent.parent / "keys.example" / "example.com.s1.pem"


def written(
    path: Path,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
    passphrase: bytes | None = None,
) -> Path:
    protection = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, protection))
    return path


def test_a_new_key_has_2048_bits_and_can_be_read_again(tmp_path: Path) -> None:
    made = new_key(tmp_path / "k.pem")

    read = load_key(tmp_path / "k.pem")
    assert (read.kind, read.bits, read.is_weak) == (KeyKind.RSA, 2048, False)
    assert read.public == made.public
    assert read.sign(b"x") == made.sign(b"x")


def test_a_new_key_is_its_owner_s_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        new_key(tmp_path / "k.pem")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "k.pem").stat().st_mode) == 0o600


# The key of RFC 8463 §A.1 and its public half of §A.2.
SEED = base64.b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
PUBLIC = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


def test_an_ed25519_key_has_the_public_half_of_the_rfc() -> None:
    key = Ed25519Key(Ed25519PrivateKey.from_private_bytes(SEED))

    assert key.public == PUBLIC
    assert (key.kind, key.is_weak) == ("ed25519", False)


def test_an_ed25519_key_signs_the_digest() -> None:
    private = Ed25519PrivateKey.from_private_bytes(SEED)

    signature = Ed25519Key(private).sign(b"what is signed")

    private.public_key().verify(signature, hashlib.sha256(b"what is signed").digest())


def test_a_new_ed25519_key_can_be_read_again(tmp_path: Path) -> None:
    made = new_key(tmp_path / "k.pem", KeyKind.ED25519)

    read = load_key(tmp_path / "k.pem")
    assert (read.kind, read.bits, read.public) == (KeyKind.ED25519, 256, made.public)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "k.pem").write_text("precious")

    with pytest.raises(FileExistsError):
        new_key(tmp_path / "k.pem")

    assert (tmp_path / "k.pem").read_text() == "precious"


def test_a_key_in_pkcs1_is_read_too(tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(EXAMPLE.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    path = written(tmp_path / "k.pem", key, serialization.PrivateFormat.TraditionalOpenSSL)

    assert load_key(path).public == load_key(EXAMPLE).public


def test_a_key_of_1024_bits_is_taken_and_called_weak(tmp_path: Path) -> None:
    path = written(tmp_path / "k.pem", rsa.generate_private_key(65537, 1024))

    assert load_key(path).is_weak


def refusal(path: Path) -> str:
    with pytest.raises(SigningError) as caught:
        load_key(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_missing_key_says_how_to_make_one(tmp_path: Path) -> None:
    assert "`mta dkim new` makes a key" in refusal(tmp_path / "none.pem")


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    assert "Is a directory" in refusal(tmp_path)


@pytest.mark.parametrize("octets", [b"", b"\x00\xff", b"-----BEGIN PRIVATE KEY-----\nxx\n"])
def test_a_file_that_holds_no_key_says_what_was_expected(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "k.pem").write_bytes(octets)

    assert "expected a private key in PEM" in refusal(tmp_path / "k.pem")


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "k.pem", ec.generate_private_key(ec.SECP256R1()))

    assert "expected an RSA or Ed25519 key" in refusal(path)


def test_a_key_behind_a_passphrase_is_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    path = written(tmp_path / "k.pem", key, passphrase=b"secret")

    assert "save the key without one" in refusal(path)


def test_a_key_of_512_bits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "k.pem").write_text(SHORT)

    assert "got 512" in refusal(tmp_path / "k.pem")


# Made with `openssl genrsa 512`; the library makes none that short.
SHORT = """-----BEGIN PRIVATE KEY-----
MIIBVQIBADANBgkqhkiG9w0BAQEFAASCAT8wggE7AgEAAkEAtmSR69KvGN0nljn0
s6KFRG1a8Fqk9XXhxZzY7oue+pcvxBoiltU4xaThjKk8xYCSJK4lwrMsXkfvN1TE
F7bNJwIDAQABAkBI38vxxj8RlyM/Aa8EqvXGTk8cY4svS8dGVpHSVdTSWDJXk7Hi
/801TzPh7PYCISIq7IGf7In8x8FkMdgsBhh5AiEA7aryw9Om46IGPNI2YR257t/p
H9NRLkxEvAVCbmrssrMCIQDEdiX6NBMGR7N5ushYXVrqmRsNQ2k1XRbl7AKhP9El
vQIgMxYGvq8U9WMTYilxROjF2aHJk2yxy3jbYWrj/6X+IN8CIQDDTGQSZsPmwU5U
G27gEOW5QrxWogWrS7/gjo5Kt8L0zQIhALm+mK9VfpiodGm1ZRA6kJzSUBfi5yri
8LzkFqlkwmd5
-----END PRIVATE KEY-----
"""
