"""A real Postfix as a receiver: its own configuration and address, TLS, a maildir each."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mta.edge.certificates import ensure_self_signed

from tests.e2e.checks import until_it_listens

SERVICES = """\
{address}:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""

SETTINGS = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/postfix.log
maillog_file_prefixes = {folder}/log
myhostname = mx.{domain}
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = inline:{{ anna@{domain}=anna/ }}
virtual_mailbox_base = {folder}/mail
virtual_uid_maps = static:{user}
virtual_gid_maps = static:{user}
virtual_mailbox_limit = 0
message_size_limit = 52428800
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_received_header = yes
smtpd_peername_lookup = no
smtpd_recipient_restrictions = reject_unauth_destination
default_transport = error:no other mail is expected
transport_maps = {routes}
"""

NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Postfix:
    """One that runs; it takes mail for anna alone."""

    folder: Path

    def mail(self, count: int = 1, within: float = 30.0) -> list[bytes]:
        """Wait until anna has `count` messages; gives all, oldest first, with LF for CRLF."""
        inbox = self.folder / "mail" / "anna" / "new"
        ends_at = time.monotonic() + within
        while True:
            names = sorted(inbox.glob("*"), key=lambda path: path.stat().st_mtime_ns)
            if len(names) >= count:
                return [name.read_bytes() for name in names]
            assert time.monotonic() < ends_at, f"{len(names)} of {count} came; {self.log()}"
            time.sleep(0.05)  # a maildir tells nobody

    def log(self) -> str:
        """What it says of itself."""
        return (self.folder / "log" / "postfix.log").read_text()


def objection_to_running() -> str | None:
    """Why Postfix cannot be run here, None if it can."""
    if shutil.which("postfix") is None:
        return "postfix is not installed"
    return None if os.geteuid() == 0 else "postfix needs root to start"


@contextmanager
def running(
    domain: str, address: str, port: int, routes: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Postfix]:
    """Postfix for `domain`, at this address; its own mail for the domains in `routes` goes there.

    Their values are IP addresses, at the same port.
    """
    with tempfile.TemporaryDirectory(prefix="mta-postfix-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # its services run as users of their own
        routed = [f"{{ {to} = smtp:[{host}]:{port} }}" for to, host in routes.items()]
        table = f"inline:{{ {', '.join(routed)} }}" if routed else ""
        configuration = _configure(folder, domain, address, port, table)
        _command(configuration, "start")
        try:
            until_it_listens(address, port)
            yield Postfix(folder)
        finally:
            _command(configuration, "stop")


def _configure(folder: Path, domain: str, address: str, port: int, routes: str) -> Path:
    for part in ("queue", "data", "log", "mail", "conf"):
        (folder / part).mkdir(mode=0o755)
    shutil.chown(folder / "data", "postfix")
    os.chown(folder / "mail", NOBODY, NOBODY)
    certificate, key = ensure_self_signed(folder / "tls", f"mx.{domain}", time.time())
    facts = {"folder": folder, "domain": domain, "address": address, "port": port, "user": NOBODY}
    settings = SETTINGS.format(certificate=certificate, key=key, routes=routes, **facts)
    (folder / "conf" / "main.cf").write_text(settings)
    (folder / "conf" / "master.cf").write_text(SERVICES.format(**facts))
    return folder / "conf"


def _command(configuration: Path, word: str) -> None:
    done = subprocess.run(
        ["postfix", "-c", str(configuration), word], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
