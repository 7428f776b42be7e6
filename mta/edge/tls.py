"""TLS for our listeners: what it is, and a certificate that may be replaced while we run."""

import ssl
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

# Forward secrecy and authenticated encryption alone, for TLS 1.2; 1.3 has nothing else.
_CIPHERS = "@SECLEVEL=2:ECDHE+AESGCM:ECDHE+CHACHA20"


class CertificateError(Exception):
    """A certificate or its key could not be used; the message names the file and the cure."""


class ServerCertificate:
    """A certificate and its key, as they stand in their files; `context` is what serves them."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read both. Raises CertificateError."""
        self._paths = certificate, key
        self._read = self._seen = self._state()
        self.context = server_context(certificate, key)

    def renew(self) -> bool:
        """Read both again, if they have changed and come to rest; whether `context` is new.

        To come to rest is to look the same twice: whoever replaces two files does so one by one.
        Raises CertificateError where they cannot be used, once until they change again; the
        context is the old one then.
        """
        seen_before, self._seen = self._seen, self._state()
        if self._seen != seen_before or self._seen == self._read:
            return False
        self._read = self._seen
        self.context = server_context(*self._paths)
        return True

    def objection_to_term(self, now: float) -> str | None:
        """What is wrong with the time that it is good for, if anything is; `now` as below."""
        return objection_to_term(self._paths[0], self.context, now)

    def _state(self) -> tuple[object, ...]:
        return tuple(_state_of(path) for path in self._paths)


def _state_of(path: Path) -> tuple[int, ...] | None:
    """What changes when a file does, or another takes its place; None for no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What a listener needs to speak TLS 1.2 and later (RFC 8996 retires what came before).

    `certificate` holds the chain in PEM, our own first. Raises CertificateError.
    """
    for path in (certificate, key):
        _must_be_readable(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # All that is left is strong: the client knows best which is fast for it.
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
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
    found = error.reason or "found something else"
    return f"{certificate}, {key}: expected a certificate and its key in PEM, {found}"


# How long it lasts

_SOON = 7 * 86400.0  # seconds before the end; what renews by itself has done so by then
_WHENEVER = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: OpenSSL has it, and Python no name for it


def objection_to_term(certificate: Path, context: ssl.SSLContext, now: float) -> str | None:
    """What is wrong with the time that a certificate is good for, if anything is.

    `context` is what serves it, `now` in Unix seconds.
    """
    term = _term(certificate, context)
    if term is None:
        return None
    begins_at, ends_at = term
    if now < begins_at:
        return f"{certificate} is good from {_day(begins_at)} only; clients refuse it until then"
    if now >= ends_at:
        return f"{certificate} has expired on {_day(ends_at)}; clients refuse it, so renew it"
    if now >= ends_at - _SOON:
        return f"{certificate} expires on {_day(ends_at)}; renew it"
    return None


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def _term(certificate: Path, context: ssl.SSLContext) -> tuple[float, float] | None:
    """From when until when it is good, in Unix seconds; None where a client cannot read it.

    Python reads a certificate for those alone who have verified it: so a client that trusts
    nothing else shakes hands with `context`, in memory.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_WHENEVER)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = client.wrap_bio(to_client, to_server)
    ours = context.wrap_bio(to_server, to_client, server_side=True)
    try:
        client.load_verify_locations(certificate)
        for side in (theirs, ours, theirs):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
        found = theirs.getpeercert() or {}
    except (OSError, ValueError):  # ValueError: the handshake has not come to its end
        return None
    begin, end = found.get("notBefore"), found.get("notAfter")
    if not isinstance(begin, str) or not isinstance(end, str):
        return None
    return ssl.cert_time_to_seconds(begin), ssl.cert_time_to_seconds(end)
