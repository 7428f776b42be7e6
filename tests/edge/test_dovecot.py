"""Dovecot takes our mail by LMTP, at a Unix socket, and answers for each recipient."""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mta.model.address import Address
from mta.model.domain import Host, TlsDemand, TlsLevel
from mta.model.envelope import Letter, MessageId
from mta.model.outcome import Outcome, Stage, Verdict

from mta.edge.smtpclient import SmtpConnector

from tests.strangers import let_in

PROGRAM = shutil.which("dovecot") or "/usr/sbin/dovecot"
NOBODY = 65534
pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not Path(PROGRAM).exists(), reason="Dovecot is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot wants to be started by root"),
]

SETTINGS = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = lmtp
ssl = no
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%n
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {folder}/users
}}
service lmtp {{
  user = nobody
  unix_listener {folder}/lmtp {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


@pytest.fixture
def socket(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "d"
    (folder / "mail").mkdir(parents=True)
    let_in(folder)  # Dovecot's processes are nobody's
    os.chown(folder / "mail", NOBODY, NOBODY)
    users = (f"{name}::{NOBODY}:{NOBODY}::{folder}/mail/{name}::" for name in ("ann", "bob"))
    (folder / "users").write_text("\n".join(users) + "\n")
    (folder / "dovecot.conf").write_text(SETTINGS.format(folder=folder))
    process = subprocess.Popen([PROGRAM, "-F", "-c", str(folder / "dovecot.conf")])
    try:
        ends_at = time.monotonic() + 20
        while not (folder / "lmtp").exists():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < ends_at, "Dovecot did not start"
            time.sleep(0.05)  # another program makes the socket, and tells nobody
        yield folder / "lmtp"
    finally:
        process.terminate()
        process.wait(20)


def test_dovecot_answers_for_each_recipient(socket: Path) -> None:
    letter = Letter(
        MessageId("m1"),
        Address("app", "here.test"),
        tuple(Address(name, "boxes.test") for name in ("ann", "nobody-here", "bob")),
        b"Subject: hello\r\n\r\n.dot\r\n",
    )

    async def send() -> tuple[Outcome, ...]:
        connector = SmtpConnector(hostname="client.test", is_lmtp=True)
        session = await connector.open(Host(str(socket), "", 0), TlsDemand(TlsLevel.NONE))
        assert not isinstance(session, Outcome), str(session)
        outcomes = await session.send(letter)
        again = await session.send(letter.part([0]))  # over the same connection
        await session.close()
        return (*outcomes, *again)

    ann, nobody, bob, again = asyncio.run(send())

    assert (ann.verdict, bob.verdict, again.verdict) == (Verdict.DELIVERED,) * 3
    assert "ann" in ann.reply.text
    assert "bob" in bob.reply.text
    assert (nobody.verdict, nobody.stage) == (Verdict.FAILED, Stage.RECIPIENT)
    found = sorted((socket.parent / "mail").glob("*/new/*"))
    assert [path.parent.parent.name for path in found] == ["ann", "ann", "bob"]
    assert found[0].read_bytes().replace(b"\r\n", b"\n").endswith(b"\n\n.dot\n")
