"""The other side: a Postfix of our own, with its configuration and queue in a folder of ours.

The system's Postfix is neither touched nor asked. The tuned configuration is the fastest that
we found for handing mail on from loopback to one next hop; beside each line stands why. None
of them gives durability up: cleanup syncs each queue file before 250, as in any Postfix.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mta.edge.keys import new_key

from tests.bench.children import HOST, Child, free_port
from tests.bench.servers import SENDER, Order

NAME = "postfix"
DEFAULT_NAME = "postfix default"
NEAR_CLIENTS = 10  # on two cores 20 delivered no more that could be told, in more memory

SETTINGS = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/postfix.log
maillog_file_prefixes = {folder}/log
myhostname = mail.app.test
inet_interfaces = loopback-only
inet_protocols = ipv4
mydestination =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
relayhost = [{host}]:{sink_port}
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtpd_recipient_restrictions = permit_mynetworks, reject
# The same bounds as ours.
message_size_limit = 26214400
smtp_destination_recipient_limit = 100
minimal_backoff_time = {retry}s
maximal_backoff_time = {retry}s
"""

TUNED = """\
# As many deliveries at once as the order allows, from the first message on.
default_process_limit = {processes}
initial_destination_concurrency = {connections}
smtp_destination_concurrency_limit = {connections}
smtp_destination_concurrency_negative_feedback = 0
# Processes stay: none is started anew after a hundred uses.
max_use = 100000
max_idle = 600s
# Nothing waits so that the queue manager may keep pace.
in_flow_delay = 0
# The whole queue is in the queue manager's memory.
qmgr_message_active_limit = 40000
qmgr_message_recipient_limit = 80000
qmgr_message_recipient_minimum = 1000
default_destination_recipient_limit = 100
# No question to the DNS, for clients or for the next hop.
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
# No counting of clients, no rewriting, no look-ups of tables or headers.
smtpd_reject_unlisted_recipient = no
smtpd_reject_unlisted_sender = no
append_at_myorigin = no
append_dot_mydomain = no
swap_bangpath = no
allow_percent_hack = no
enable_original_recipient = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
local_header_rewrite_clients =
receive_override_options = no_address_mappings, no_header_body_checks, no_unknown_recipient_checks
smtp_header_checks =
smtpd_delay_reject = no
smtpd_relay_restrictions =
notify_classes =
"""

# Where the next hop is near, handing connections from process to process saved nothing, in most
# trials, and cost CPU.
NEAR = """\
smtp_connection_cache_on_demand = no
"""

# Where it is far, each is used again and again.
FAR = """\
smtp_connection_cache_destinations = [{host}]:{sink_port}
smtp_connection_reuse_count_limit = 0
smtp_connection_reuse_time_limit = 300s
"""

# With OpenDKIM in front of the queue; without an answer from it, mail would wait.
MILTER = """\
smtpd_milters = unix:{folder}/milter/socket
milter_default_action = tempfail
"""

OPENDKIM = """\
Mode s
Syslog no
Domain {domain}
Selector s1
KeyFile {folder}/milter/key.pem
Socket local:{folder}/milter/socket
Canonicalization relaxed/relaxed
SignatureAlgorithm rsa-sha256
RequireSafeKeys no
InternalHosts 127.0.0.1
"""

SERVICES = """\
{host}:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - {clients} smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True, slots=True)
class Postfix:
    """A Postfix in the foreground, root of its own processes."""

    is_tuned: bool = True

    @property
    def name(self) -> str:
        """See `Side`."""
        return NAME if self.is_tuned else DEFAULT_NAME

    def prepare(self, order: Order) -> int:
        """See `Side`."""
        port = free_port()
        folder = order.folder
        for part in ("queue", "data", "log", "conf"):
            (folder / part).mkdir(mode=0o755, exist_ok=True)
        shutil.chown(folder / "data", "postfix")
        (folder / "conf" / "main.cf").write_text(settings(order, is_tuned=self.is_tuned))
        (folder / "conf" / "master.cf").write_text(services(order, port, is_tuned=self.is_tuned))
        if order.is_signed and has_opendkim():
            _prepare_opendkim(folder)
        # Makes the queue's folders; those of the program itself it finds in order.
        _run("postfix", "-c", str(folder / "conf"), "check")
        return port

    def start(self, order: Order, port: int) -> Child:
        """See `Side`."""
        del port  # it stands in the configuration
        folder = order.folder
        daemons = _run("postconf", "-c", str(folder / "conf"), "-h", "daemon_directory")
        # In the foreground, so that it is the root of all its processes, and in our group.
        command = [f"{daemons}/master", "-c", str(folder / "conf"), "-d"]
        if order.is_signed and has_opendkim():
            command = _beside_opendkim(folder, command)
        return Child((*order.prefix, *command), folder / "log" / "master.log")


def settings(order: Order, *, is_tuned: bool) -> str:
    """The text of main.cf."""
    facts = {
        "folder": order.folder,
        "host": HOST,
        "sink_port": order.sink_port,
        "connections": _clients(order),
        "retry": f"{order.retry:.0f}",
        "processes": max(100, order.connections),
    }
    text = SETTINGS
    if is_tuned:
        text += TUNED + (FAR if order.is_far else NEAR)
    if order.is_signed and has_opendkim():
        text += MILTER
    return text.format(**facts)


def services(order: Order, port: int, *, is_tuned: bool) -> str:
    """The text of master.cf."""
    clients = str(_clients(order)) if is_tuned else "-"
    return SERVICES.format(host=HOST, port=port, clients=clients)


def _clients(order: Order) -> int:
    """How many deliver at once: no more than are of use, where a round trip takes no time."""
    return order.connections if order.is_far else min(order.connections, NEAR_CLIENTS)


def objection() -> str | None:
    """Why Postfix cannot be measured here; None if it can."""
    if shutil.which("postfix") is None:
        return "Postfix is not installed; on Debian and Ubuntu: apt install postfix"
    return None if os.geteuid() == 0 else "Postfix starts as root alone; try: sudo make bench"


def version() -> str:
    """As in "3.7.11"."""
    return _run("postconf", "-h", "-d", "mail_version")


def has_opendkim() -> bool:
    """Whether Postfix can have its mail signed."""
    return shutil.which("opendkim") is not None


def _prepare_opendkim(folder: Path) -> None:
    milter = folder / "milter"
    milter.mkdir(mode=0o755, exist_ok=True)
    shutil.chown(milter, "postfix")
    new_key(milter / "key.pem")
    shutil.chown(milter / "key.pem", "postfix")
    domain = SENDER.partition("@")[2]
    (milter / "opendkim.conf").write_text(OPENDKIM.format(folder=folder, domain=domain))


def _beside_opendkim(folder: Path, command: list[str]) -> list[str]:
    """The command that runs both, so that what OpenDKIM costs is counted too."""
    opendkim = f"opendkim -f -u postfix -x {folder}/milter/opendkim.conf"
    listening = f"until [ -S {folder}/milter/socket ]; do sleep 0.05; done"  # or mail is put off
    return ["sh", "-c", f"{opendkim} & {listening}; {' '.join(command)}; kill $!"]


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stderr.decode(errors="replace"))
        done.check_returncode()
    return done.stdout.decode().strip()
