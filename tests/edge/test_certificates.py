import os
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mta.edge.certificates import ensure_self_signed
from mta.edge.keys import new_key
from mta.edge.tls import CertificateError, ServerCertificate, objection_to_term, server_context

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


def test_it_is_made_anew_a_month_before_its_end_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def at(days: int) -> bytes:
        return ensure_self_signed(tmp_path, "a.test", NOW + days * 86_400)[0].read_bytes()

    first = at(0)
    assert at(3619) == first
    caplog.clear()

    second = at(3620)

    assert second != first
    server_context(*ensure_self_signed(tmp_path, "a.test", NOW + 3620 * 86_400))
    path = tmp_path / "self-signed.cert.pem"
    assert caplog.messages == [f"made a new self-signed certificate for a.test: {path}"]


@pytest.mark.parametrize("victim", ["cert", "key"])
@pytest.mark.parametrize("left", ["", "half a file"])
def test_what_cannot_be_read_is_made_anew(tmp_path: Path, victim: str, left: str) -> None:
    ensure_self_signed(tmp_path, "a.test", NOW)
    (tmp_path / f"self-signed.{victim}.pem").write_text(left)

    server_context(*ensure_self_signed(tmp_path, "a.test", NOW))


def test_a_key_that_is_newer_than_its_certificate_is_replaced_with_it(tmp_path: Path) -> None:
    _, key = ensure_self_signed(tmp_path, "a.test", NOW)
    _, other = ensure_self_signed(tmp_path / "b", "a.test", NOW)
    other.replace(key)  # a crash came before the certificate was written, too

    server_context(*ensure_self_signed(tmp_path, "a.test", NOW))


@pytest.mark.parametrize("hostname", ["localhost", "192.0.2.1", "::1", "a" * 60 + ".long.example"])
def test_any_hostname_will_do(tmp_path: Path, hostname: str) -> None:
    certificate, key = ensure_self_signed(tmp_path, hostname, NOW)

    server_context(certificate, key)


# What TLS is


def client_of(certificate: Path, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificate)
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_later_are_spoken(tmp_path: Path, version: ssl.TLSVersion) -> None:
    certificate, key = ensure_self_signed(tmp_path, "a.test", NOW)

    spoken = shake_hands(
        server_context(certificate, key), client_of(certificate, version), "a.test"
    )

    assert spoken is not None
    assert spoken.replace(".", "_") == version.name


def test_every_cipher_keeps_its_secrets_and_notices_changes(tmp_path: Path) -> None:
    context = server_context(*ensure_self_signed(tmp_path, "a.test", NOW))

    ciphers = context.get_ciphers()

    assert ciphers
    assert all(each["aead"] for each in ciphers)
    assert {each["kea"] for each in ciphers} == {"kx-ecdhe", "kx-any"}


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-SHA256", "AES128-GCM-SHA256"])
def test_old_ciphers_are_refused(tmp_path: Path, cipher: str) -> None:
    certificate, key = ensure_self_signed(tmp_path, "a.test", NOW)
    client = client_of(certificate, ssl.TLSVersion.TLSv1_2)
    client.set_ciphers(cipher)

    with pytest.raises(ssl.SSLError):
        shake_hands(server_context(certificate, key), client, "a.test")


def test_the_client_chooses_among_what_is_strong(tmp_path: Path) -> None:
    certificate, key = ensure_self_signed(tmp_path, "a.test", NOW)
    context = server_context(certificate, key)

    assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION


# Files that change


class Renewed:
    """A pair of files that is replaced, and what came of that."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.paths = ensure_self_signed(folder, "a.test", NOW)
        self.certificate = ServerCertificate(*self.paths)
        self.first = self.certificate.context

    def replace(self, *parts: int) -> None:
        """Put new files in place: the certificate (0), the key (1)."""
        made = ensure_self_signed(self._folder / "new", "a.test", NOW)
        for part in parts:
            made[part].rename(self.paths[part])

    @property
    def is_new(self) -> bool:
        return self.certificate.context is not self.first


def test_files_that_stay_are_not_read_again(tmp_path: Path) -> None:
    files = Renewed(tmp_path)

    assert not any(files.certificate.renew() for _ in range(3))
    assert not files.is_new


def test_new_files_are_used_when_they_have_come_to_rest(tmp_path: Path) -> None:
    files = Renewed(tmp_path)
    files.replace(0, 1)

    assert [files.certificate.renew() for _ in range(3)] == [False, True, False]
    assert files.is_new


def test_files_that_are_replaced_one_by_one_are_waited_for(tmp_path: Path) -> None:
    files = Renewed(tmp_path)
    files.replace(1)
    assert not files.certificate.renew()
    files.replace(0, 1)
    assert not files.certificate.renew()

    assert files.certificate.renew()


def test_a_link_that_leads_to_another_file_is_a_change(tmp_path: Path) -> None:
    for name in ("one", "two"):
        ensure_self_signed(tmp_path / name, "a.test", NOW)
    (tmp_path / "live").symlink_to("one")
    certificate = ServerCertificate(
        tmp_path / "live/self-signed.cert.pem", tmp_path / "live/self-signed.key.pem"
    )
    (tmp_path / "live").unlink()
    (tmp_path / "live").symlink_to("two")

    assert [certificate.renew() for _ in range(2)] == [False, True]


@pytest.mark.parametrize("breakage", ["another key", "garbage", "gone"])
def test_what_cannot_be_used_is_told_of_once_and_the_old_stays(
    tmp_path: Path, breakage: str
) -> None:
    files = Renewed(tmp_path)
    if breakage == "another key":
        files.replace(1)
    elif breakage == "garbage":
        files.paths[0].write_text("garbage")
    else:
        files.paths[0].unlink()
    assert not files.certificate.renew()

    with pytest.raises(CertificateError, match=str(tmp_path)):
        files.certificate.renew()

    assert not any(files.certificate.renew() for _ in range(3))
    assert not files.is_new
    files.replace(0, 1)
    assert [files.certificate.renew() for _ in range(2)] == [False, True]


# What cannot be used


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


# How long it lasts


@pytest.mark.parametrize(
    ("days", "objection"),
    [
        (-2, "is good from 2025-06-14 only; clients refuse it until then"),
        (0, None),
        (3642, None),
        (3644, "expires on 2035-06-13; renew it"),
        (3651, "has expired on 2035-06-13; clients refuse it, so renew it"),
    ],
)
def test_a_certificate_is_objected_to_outside_its_term_and_in_its_last_week(
    tmp_path: Path, days: int, objection: str | None
) -> None:
    certificate, key = ensure_self_signed(tmp_path, "mail.example.com", NOW)
    context = server_context(certificate, key)

    found = objection_to_term(certificate, context, NOW + days * 86400)

    assert found == (objection and f"{certificate} {objection}")
