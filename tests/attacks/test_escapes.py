"""What strangers can put into events, the log and the queue, as a person sees it in a terminal."""

import os
import smtplib
import subprocess
import sys
from pathlib import Path

import pytest

from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e import letters

MIRRORED = "\u202enna"  # shown as "ann" by a terminal that turns it round
FORGED = "x\n12:00:00 delivered forged\rERROR forged\x1b[2J\x9b2J\u2028"


def send(port: int, sender: str, recipient: str, content: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        client.ehlo("client.test")
        client.mail(sender, ["SMTPUTF8"])
        assert client.rcpt(recipient)[0] == 250
        assert client.data(content)[0] == 250


@pytest.mark.parametrize("style", ["people", "json"])
def test_nobody_writes_a_line_or_moves_the_cursor_in_what_operators_see(
    own: ServerProcess, internet: Internet, tmp_path: Path, style: str
) -> None:
    own.settings["log"] = {"events": style}
    own.start()
    with smtplib.SMTP("127.0.0.1", own.port, timeout=20) as client:
        for command in ("HELO x\x1b[2J", "EHLO x\ty", "VRFY \u202e", "\x9b2J", "NOOP \x07"):
            client.send(command.encode() + b"\r\n")
            client.getreply()
    content = letters.with_body("x", FORGED.encode(), more=b"X-A: \x1b[2J\r\n")
    send(own.port, f"{MIRRORED}@app.test", f"{MIRRORED}@slowish.test", content)
    send(own.port, f"{MIRRORED}@app.test", f"{MIRRORED}@nowhere.test", content)
    (tmp_path / "spool" / "maildrop" / FORGED[:60]).write_bytes(FORGED.encode())
    own.says("put into quarantine")
    queue = subprocess.run(
        [sys.executable, "-m", "mta", "queue", "list", "--config", str(own.config)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONUTF8": "1"},
    )
    assert own.stop() == 0

    lines = [*own.log, *queue.stdout.split("\n")]
    assert "messages" in queue.stdout
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith(("ERROR forged", "12:00:00 delivered")) for line in lines)
    assert all(event["event"] for event in own.events)
