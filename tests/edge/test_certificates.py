import os
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mta.edge.certificates import ensure_self_signed
from mta.edge.rsa import new_key
from mta.edge.tls import CertificateError, server_context

NOW = 1_750_000_000.0


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str | None:
    """The TLS version that the two agree on, over memory alone."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(4):
        for end in (theirs, ours):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return theirs.version()


def test_a_self_signed_certificate_names_the_host_and_serves(tmp_path: Path) -> None:
    certificate, key = ensure_self_signed(tmp_path, "mail.example.com", NOW)
    client = ssl.create_default_context(cafile=certificate)

    version = shake_hands(server_context(certificate, key), client, "mail.example.com")

    assert version == "TLSv1.3"


def test_another_host_s_name_does_not_pass(tmp_path: Path) -> None:
    certificate, key = ensure_self_signed(tmp_path, "mail.example.com", NOW)
    client = ssl.create_default_context(cafile=certificate)

    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server_context(certificate, key), client, "other.test")


def test_a_certificate_is_made_once(tmp_path: Path) -> None:
    first = [path.read_bytes() for path in ensure_self_signed(tmp_path, "a.test", NOW)]

    second = [path.read_bytes() for path in ensure_self_signed(tmp_path, "a.test", NOW + 1)]

    assert first == second


def test_what_a_crash_left_behind_is_made_anew(tmp_path: Path) -> None:
    certificate, key = ensure_self_signed(tmp_path, "a.test", NOW)
    certificate.unlink()
    (tmp_path / "self-signed.key.new").write_text("half a k")

    certificate, key = ensure_self_signed(tmp_path, "a.test", NOW)

    server_context(certificate, key)
    assert sorted(path.name for path in tmp_path.iterdir()) == [certificate.name, key.name]


def test_the_key_is_its_owner_s_alone_and_the_folder_is_made(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        _, key = ensure_self_signed(tmp_path / "spool" / "tls", "a.test", NOW)
    finally:
        os.umask(before)

    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700


def test_it_lasts_ten_years_from_now(tmp_path: Path) -> None:
    path, _ = ensure_self_signed(tmp_path, "a.test", NOW)

    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    assert certificate.not_valid_after_utc.timestamp() == NOW + 3650 * 86400
    assert certificate.not_valid_before_utc.timestamp() < NOW


@pytest.mark.parametrize("hostname", ["localhost", "192.0.2.1", "::1", "a" * 60 + ".long.example"])
def test_any_hostname_will_do(tmp_path: Path, hostname: str) -> None:
    certificate, key = ensure_self_signed(tmp_path, hostname, NOW)

    server_context(certificate, key)


def refusal(certificate: Path, key: Path) -> str:
    with pytest.raises(CertificateError) as caught:
        server_context(certificate, key)
    return str(caught.value)


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    _, key = ensure_self_signed(tmp_path, "a.test", NOW)

    assert f"{tmp_path}/none.pem: No such file" in refusal(tmp_path / "none.pem", key)


def test_another_certificate_s_key_is_named(tmp_path: Path) -> None:
    certificate, _ = ensure_self_signed(tmp_path / "a", "a.test", NOW)
    _, key = ensure_self_signed(tmp_path / "b", "b.test", NOW)

    assert (
        refusal(certificate, key)
        == f"{key}: expected the key of {certificate}, found another one's"
    )


def test_a_key_of_another_kind_is_named(tmp_path: Path) -> None:
    certificate, _ = ensure_self_signed(tmp_path, "a.test", NOW)
    new_key(tmp_path / "rsa.pem")

    assert str(tmp_path / "rsa.pem") in refusal(certificate, tmp_path / "rsa.pem")


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "junk.pem").write_text("junk")

    assert "expected a certificate and its key in PEM" in refusal(
        tmp_path / "junk.pem", tmp_path / "junk.pem"
    )


def test_a_key_behind_a_passphrase_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    certificate, key = ensure_self_signed(tmp_path, "a.test", NOW)
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )

    assert refusal(certificate, key) == f"{key}: needs a passphrase; save the key without one"
