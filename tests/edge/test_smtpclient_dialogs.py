"""Plays the conversations in tests/dialogs/out; their README says how they are written."""

import asyncio
import ssl
from functools import partial
from pathlib import Path

import pytest

from mta.model.address import Address
from mta.model.domain import TlsDemand, TlsLevel
from mta.model.envelope import Letter, MessageId
from mta.model.outcome import Outcome
from mta.model.request import RecipientRequest

from mta.rules.submission.parameters import Asked, asked_for_recipient, asked_in

from mta.edge.smtpclient import Login, SmtpConnector, Timeouts

from tests.edge.scripted_peer import Caller, ScriptedPeer, certificate, server_context

NAME = "mx.test"
FOLDER = Path(__file__).parent.parent / "dialogs" / "out"
SHORT = Timeouts(*(5.0,) * 10)


class Dialog:
    """One file, read."""

    def __init__(self, path: Path) -> None:
        lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
        self.letters = [letter(line[6:].split()) for line in lines if line.startswith("send: ")]
        self.expected = [line[2:] for line in lines if line.startswith("= ")]
        self.tls = TlsLevel(next((line[5:] for line in lines if line.startswith("tls: ")), "none"))
        self.is_lmtp = "protocol: lmtp" in lines
        self.login = next((login(line) for line in lines if line.startswith("login: ")), None)
        self._steps = [line for line in lines if line.startswith(("S", "C:", "close", "handshake"))]

    async def play(self, context: ssl.SSLContext, client: Caller) -> None:
        """The peer's part."""
        for kind, _, text in (step.partition(" ") for step in self._steps):
            if kind == "C:":
                assert (await client.hear()).decode() == text
            elif kind == "close":
                return
            elif kind == "handshake":
                await client.start_tls(context)
            else:
                ending = "" if kind == "S+" else "\r\n"
                await client.say_raw((unescaped(text) + ending).encode("latin-1"))
        assert await client.hear() == b"", "it had no more to say"


def unescaped(text: str) -> str:
    return text.encode().decode("unicode_escape")


def letter(words: list[str]) -> Letter:
    of_message: dict[str, str | None] = {}
    of_recipients: dict[str, dict[str, str | None]] = {}
    parameters = of_message
    for word in words:
        name, equals, text = word.partition("=")
        if equals:
            parameters[name] = text
        elif word == "requiretls":
            of_message["REQUIRETLS"] = None
        elif word not in ("8bit", "smtputf8"):
            parameters = of_recipients[word] = {}
    asked, wishes = asked_in(of_message), [asked_for_recipient(p) for p in of_recipients.values()]
    assert isinstance(asked, Asked)
    return Letter(
        MessageId("m1"),
        Address("sender", "client.test"),
        tuple(Address(name, "there.test") for name in of_recipients),
        b"Subject: hello\r\n\r\n.dot\r\n",
        is_8bit="8bit" in words,
        needs_smtputf8="smtputf8" in words,
        request=asked.request(0),
        requests=tuple(wish for wish in wishes if isinstance(wish, RecipientRequest))
        if any(of_recipients.values())
        else (),
    )


def login(line: str) -> Login:
    _, username, password, *rest = line.split()
    return Login(username, password, allow_plaintext=rest == ["plaintext"])


def shown(outcome: Outcome) -> str:
    doubt = ", may have arrived" if outcome.may_have_arrived else ""
    told = ", reports itself" if outcome.peer_reports else ""
    return f"{outcome.verdict} {outcome.reply} ({outcome.stage}, {outcome.scope}{doubt}{told})"


async def became(dialog: Dialog, pem: Path) -> list[str]:
    """What became of each recipient, and of the session."""
    async with ScriptedPeer(partial(dialog.play, server_context(pem)), name=NAME) as host:
        connector = SmtpConnector(
            hostname="client.test",
            timeouts=SHORT,
            login=dialog.login,
            is_lmtp=dialog.is_lmtp,
            ca_file=pem,
            clock=lambda: 60.0,
        )
        session = await connector.open(host, TlsDemand(dialog.tls))
        if isinstance(session, Outcome):
            return [f"no session: {shown(session)}"]
        lines: list[str] = []
        for each in dialog.letters:
            lines += [shown(outcome) for outcome in await session.send(each)]
            lines.append("usable" if session.is_usable else "unusable")
        await session.close()
    return lines


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"), NAME)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_the_conversation_goes_as_written(path: Path, pem: Path) -> None:
    dialog = Dialog(path)

    lines = asyncio.run(became(dialog, pem))

    assert lines == dialog.expected
