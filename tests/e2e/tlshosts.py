"""One real Postfix that is many hosts: an address each, and a certificate each, or no TLS."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.checks import until_it_listens
from tests.pki import Credential

_SERVICES = """\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
discard unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""

_SETTINGS = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/postfix.log
maillog_file_prefixes = {folder}/log
myhostname = hosts.test
mydestination =
inet_protocols = ipv4
default_transport = discard:
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
"""


@contextmanager
def running(port: int, hosts: Mapping[str, Credential | None]) -> Iterator[None]:
    """Listen at each address, with what it shows; mail is taken and thrown away."""
    with tempfile.TemporaryDirectory(prefix="mta-postfix-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # its services run as users of their own
        for part in ("queue", "data", "log", "conf", "tls"):
            (folder / part).mkdir(mode=0o755)
        shutil.chown(folder / "data", "postfix")
        lines = [_service(folder, address, port, shown) for address, shown in hosts.items()]
        (folder / "conf" / "main.cf").write_text(_SETTINGS.format(folder=folder))
        (folder / "conf" / "master.cf").write_text("".join(lines) + _SERVICES)
        _command(folder, "start")
        try:
            for address in hosts:
                until_it_listens(address, port)
            yield
        finally:
            _command(folder, "stop")


def _service(folder: Path, address: str, port: int, shown: Credential | None) -> str:
    service = f"{address}:{port} inet n - n - - smtpd\n"
    if shown is None:
        return service + "  -o smtpd_tls_security_level=none\n"
    pem = shown.pem(folder / "tls" / f"{address}.pem")
    return service + f"  -o smtpd_tls_security_level=may\n  -o smtpd_tls_chain_files={pem}\n"


def _command(folder: Path, word: str) -> None:
    command = ["postfix", "-c", str(folder / "conf"), word]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
