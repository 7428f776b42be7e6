"""What a TLS handshake costs, and what is saved by taking up an earlier session.

    python -m tests.bench.handshakes

Both sides are in one thread, on memory; a figure is the median of 400 handshakes in
milliseconds of CPU.
"""

import datetime as dt
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

ROUNDS = 400
NAME = "mx.test"
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass
class Side:
    """One end of a handshake, and the CPU that it took."""

    tls: ssl.SSLObject
    seconds: float = 0.0

    def step(self) -> bool:
        """Go on as far as it goes; whether it is done."""
        begun = time.thread_time()
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self.seconds += time.thread_time() - begun
        return True


def handshake(
    ours: ssl.SSLContext, theirs: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[Side, Side]:
    """Client and server after a handshake, and a line that the server said."""
    to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    begun = time.thread_time()
    client = Side(ours.wrap_bio(to_us, to_them, server_hostname=NAME, session=session))
    client.seconds = time.thread_time() - begun
    server = Side(theirs.wrap_bio(to_them, to_us, server_side=True))
    left = [client, server]
    while left:
        left = [side for side in left if not side.step()]
    server.tls.write(b"250 hello\r\n")  # behind the tickets of TLS 1.3
    client.tls.read()
    return client, server


def cost(ours: ssl.SSLContext, theirs: ssl.SSLContext, *, is_resumed: bool) -> tuple[float, float]:
    """The client's and the server's milliseconds."""
    client, server = handshake(ours, theirs, None)
    clients, servers = [], []
    for _ in range(ROUNDS):
        client, server = handshake(ours, theirs, client.tls.session if is_resumed else None)
        assert client.tls.session_reused is is_resumed
        clients.append(client.seconds * 1000)
        servers.append(server.seconds * 1000)
    return median(clients), median(servers)


def chain_of(new_key: type[Key], folder: Path) -> None:
    """A root, one below it, and a host's certificate, as public authorities issue them."""
    names = ["root", "authority", NAME]
    keys = [_key(new_key) for _ in names]
    now = dt.datetime.now(dt.UTC)
    certificates = [
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(names[max(0, place - 1)]))
        .public_key(keys[place].public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=90))
        .add_extension(x509.BasicConstraints(name != NAME, None), True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
        .sign(keys[max(0, place - 1)], hashes.SHA256())
        for place, name in enumerate(names)
    ]
    root, authority, host = (one.public_bytes(Encoding.PEM) for one in certificates)
    private = keys[2].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "root.pem").write_bytes(root)
    (folder / "host.pem").write_bytes(host + authority + private)


def _key(kind: type[Key]) -> Key:
    if kind is rsa.RSAPrivateKey:
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1())


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def contexts(folder: Path) -> Iterator[tuple[str, ssl.SSLContext, ssl.SSLContext]]:
    """Clients that verify and that do not, for each version, with the server for them."""
    for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
        for is_verifying in (False, True):
            theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            theirs.load_cert_chain(folder / "host.pem")
            ours = ssl.create_default_context(cafile=folder / "root.pem")
            if not is_verifying:
                ours.check_hostname, ours.verify_mode = False, ssl.CERT_NONE
            ours.maximum_version = version
            yield f"{version.name}{' verified' if is_verifying else ''}", ours, theirs


def main() -> None:
    """Print a table."""
    print(f"{'':24}{'client':>8}{'resumed':>9}{'server':>9}{'resumed':>9}  ms of CPU")
    for kind, key in (("P-256", ec.EllipticCurvePrivateKey), ("RSA-2048", rsa.RSAPrivateKey)):
        with TemporaryDirectory() as folder:
            chain_of(key, Path(folder))
            for label, ours, theirs in contexts(Path(folder)):
                full = cost(ours, theirs, is_resumed=False)
                resumed = cost(ours, theirs, is_resumed=True)
                figures = (full[0], resumed[0], full[1], resumed[1])
                print(f"{kind} {label}".ljust(24) + "".join(f"{one:9.2f}" for one in figures))


if __name__ == "__main__":
    main()
