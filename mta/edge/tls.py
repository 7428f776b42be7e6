"""TLS contexts for our listeners."""

import ssl
from pathlib import Path


class CertificateError(Exception):
    """A certificate or its key could not be used; the message names the file and the cure."""


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What a listener needs to speak TLS 1.2 and later (RFC 8996 retires what came before).

    `certificate` holds the chain in PEM, our own first. Raises CertificateError.
    """
    for path in (certificate, key):
        _must_be_readable(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except _Encrypted as error:
        raise CertificateError(f"{key}: needs a passphrase; save the key without one") from error
    except ssl.SSLError as error:
        raise CertificateError(_explained(error, certificate, key)) from error
    return context


def _must_be_readable(path: Path) -> None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise CertificateError(
            f"{path}: {error.strerror}; let the user that mta runs as read it"
        ) from error


class _Encrypted(Exception):
    """The key asks for a passphrase, and nobody is there to type one."""


def _no_passphrase() -> str:
    raise _Encrypted


def _explained(error: ssl.SSLError, certificate: Path, key: Path) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{key}: expected the key of {certificate}, found another one's"
    return f"{certificate}, {key}: expected a certificate and its key in PEM, {error.reason}"
