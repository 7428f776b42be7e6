"""Plays the conversations in tests/dialogs/in; their README says how they are written."""

import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mta.model.envelope import Submission
from mta.model.listener import Auth, Endpoint, Listener, TlsStart
from mta.model.request import NOTHING_FOR_RECIPIENT

from mta.rules.submission.content import BareNewlines

from mta.edge.smtpclient.wishes import behind_mail, behind_rcpt
from mta.edge.submission import SessionLimits

from tests.edge.fake_door import (
    LOOPS,
    FakeDoor,
    FakeLogins,
    Talker,
    run,
    self_signed,
    serving,
    talking,
    trusting_anybody,
)

FOLDER = Path(__file__).parent.parent / "dialogs" / "in"
WAYS = ("lockstep", "bytes", "pipelined")
ESCAPES = {"r": "\r", "n": "\n", "0": "\0", "\\": "\\"}


def octets(text: str) -> bytes:
    """A file's text with its escapes resolved."""
    plain = re.sub(
        r"\\(?:x([0-9a-f]{2})|([rn0\\]))",
        lambda found: chr(int(found[1], 16)) if found[1] else ESCAPES[found[2]],
        text,
    )
    return plain.encode("latin-1")


class Dialog:
    """One file, read."""

    def __init__(self, path: Path) -> None:
        lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
        told = dict(line.split(": ", 1) for line in lines if line.startswith(("with", "ways")))
        self.ways = told.get("ways", " ".join(WAYS)).split()
        self.settings = dict(word.split("=") for word in told.get("with", "").split())
        self.expected = [octets(line[2:]) for line in lines if line.startswith("= ")]
        self.steps = [
            step
            for line in lines
            if not line.startswith(("with", "ways", "= "))
            for step in _repeated(line)
        ]

    def server_settings(self, context: ssl.SSLContext) -> dict[str, Any]:
        settings = dict(self.settings)
        tls, auth = TlsStart(settings.pop("tls", "none")), Auth(settings.pop("auth", "none"))
        plaintext_auth = settings.pop("plaintext_auth", "false") == "true"
        listener = Listener(
            Endpoint("127.0.0.1", 0), tls=tls, auth=auth, plaintext_auth=plaintext_auth
        )
        return {
            "listeners": [listener],
            "logins": FakeLogins(),
            "bare_newlines": BareNewlines(settings.pop("bare_newlines", "normalise")),
            "limits": SessionLimits(**{name: int(value) for name, value in settings.items()}),
            "tls": context,
        }


def _repeated(line: str) -> Iterator[tuple[str, str]]:
    kind, _, text = line.partition(" ")
    count = 1
    if kind.endswith("*"):
        number, _, text = text.partition(" ")
        kind, count = kind[0] + ":", int(number)
    return iter([(kind, text)] * count)


def said(kind: str, text: str) -> bytes:
    return octets(text) + (b"" if kind == "C+" else b"\r\n")


async def hear_lines(talker: Talker) -> list[bytes]:
    """The lines of the next reply."""
    lines = [await talker.hear()]
    while lines[-1][3:4] == b"-":
        lines.append(await talker.hear())
    return lines


def matched(raw: bytes, pattern: str) -> None:
    line = raw.decode("latin-1")
    assert re.fullmatch(".*".join(map(re.escape, pattern.split("..."))), line), (pattern, line)


async def play(dialog: Dialog, way: str, talker: Talker) -> None:
    if way == "pipelined":
        everything = [said(*step) for step in dialog.steps if step[0][0] == "C"]
        await talker.say_raw(b"".join(everything))
    lines: list[bytes] = []
    for kind, text in dialog.steps:
        if kind == "S:":
            matched(await talker.hear(), text)
        elif kind == "S-":
            lines = await hear_lines(talker)
            matched(lines[-1], text)
        elif kind == "has:":
            assert text.encode() in [line[4:] for line in lines]
        elif kind == "lacks:":
            assert not any(line[4:].startswith(text.encode()) for line in lines)
        elif kind == "starttls":
            await talker.shake_hands(trusting_anybody())
        elif kind == "close":
            assert await talker.hear_all() == b""
        elif way == "bytes":
            await talker.say_by_octets(said(kind, text))
        elif way == "lockstep":
            await talker.say_raw(said(kind, text))


def shown(submission: Submission) -> bytes:
    asked = submission.requests or (NOTHING_FOR_RECIPIENT,) * len(submission.recipients)
    pairs = zip(submission.recipients, asked, strict=True)
    words = [
        f"{submission.sender or '<>'}{behind_mail(submission.request)}",
        *(f"{recipient}{behind_rcpt(one, is_smtputf8=True)}" for recipient, one in pairs),
        submission.client.protocol,
        *([f"({submission.client.user})"] if submission.client.user else []),
        "",
    ]
    return " ".join(words).encode() + submission.content


async def played(dialog: Dialog, way: str, context: ssl.SSLContext) -> list[bytes]:
    door = FakeDoor()
    settings = dialog.server_settings(context)
    async with serving(door, **settings) as server, talking(server) as talker:
        await play(dialog, way, talker)
    return [shown(submission) for submission in door.submissions]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return self_signed(tmp_path_factory.mktemp("tls"))


CASES = [
    pytest.param(path, way, id=f"{path.stem}-{way}")
    for path in sorted(FOLDER.glob("*.txt"))
    for way in Dialog(path).ways
]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(("path", "way"), CASES)
def test_the_conversation_goes_as_written(
    path: Path, way: str, loop: str, context: ssl.SSLContext
) -> None:
    dialog = Dialog(path)

    taken = run(played(dialog, way, context), loop)

    assert taken == dialog.expected
