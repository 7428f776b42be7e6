"""The command of tests: `mta`, called by any name, as programs call sendmail(1)."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

MTA = f"""#!{sys.executable}
import sys
from mta.cli import main

sys.exit(main())
"""

# The interpreter may be where others cannot read, so they become others when all is loaded.
AS_NOBODY = """
import encodings.idna, encodings.utf_8_sig, os, sys
from mta.cli import sendmail
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(sendmail.run("sendmail", sys.argv[1:]))
"""


def linked(folder: Path, name: str) -> Path:
    """A link of this name to a script that is `mta`; by that name the script itself."""
    script = folder / "mta"
    if not script.exists():
        script.write_text(MTA)
        script.chmod(0o755)
    link = folder / name
    if not link.exists():
        link.symlink_to(script)
    return link


def environment_of(settings: Mapping[str, Any], folder: Path, port: int = 0) -> dict[str, str]:
    """The environment of a program that is to find a server with these settings.

    `port` is where it listens; with 0 it does not.
    """
    path = folder / "handover.yaml"
    listen = [{"address": f"127.0.0.1:{port}"}, *settings["listen"][1:]]
    path.write_text(yaml.safe_dump({**settings, "listen": listen}))
    house = str(Path(__file__).parents[2])
    return os.environ | {"MTA_CONFIG": str(path), "PYTHONPATH": house}


def send(
    program: Path, environment: Mapping[str, str], *arguments: str, given: bytes = b""
) -> "subprocess.CompletedProcess[bytes]":
    """Run it to its end."""
    return subprocess.run(
        [str(program), *arguments],
        input=given,
        env=dict(environment),
        capture_output=True,
        timeout=60,
        check=False,
    )
