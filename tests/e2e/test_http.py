"""Mail by HTTP into a real process: what arrives, what is told of it, and what a crash leaves."""

import json
import re
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from mta.client import Attachment, Client, InvalidMessage, MtaError, NotAllowed
from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e import letters
from tests.e2e.checks import assert_signed, peer, run

DOCUMENT = Path(__file__).parents[2] / "docs" / "http.md"
MESSAGE = {"from": letters.SENDER, "subject": "By HTTP", "text": "It works."}


class Door:
    """A server that may be started again, and one user's token to it."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        server.settings["users"] = str(server.config.parent / "users.yaml")
        server.write_settings()
        self._mta("user", "add", "app", "--no-password")
        self.token = self._mta("user", "token", "add", "app").strip().splitlines()[-1]

    @property
    def url(self) -> str:
        """Where it listens, since its last start."""
        lines = [line for line in self.server.log if "HTTP: http" in line]
        found = re.search(r"http://127\.0\.0\.1:\d+", lines[-1])
        assert found is not None
        return found[0]

    def start(self) -> None:
        known = len(self.server.log)
        self.server.start()
        assert any("HTTP: http" in line for line in self.server.log[known:])

    def client(self, retries: int = 3) -> Client:
        return Client(self.url, self.token, retries=retries)

    def _mta(self, *words: str) -> str:
        command = [sys.executable, "-m", "mta", *words, "--config", str(self.server.config)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


@pytest.fixture
def door(own: ServerProcess) -> Door:
    door = Door(own)
    door.start()
    return door


def settled(client: Client, id: str) -> Any:
    """What became of a message, once nothing is owed any more."""
    ends_at = time.monotonic() + 30
    while (message := client.get(id)).settled_at is None:
        assert time.monotonic() < ends_at, message
        time.sleep(0.05)  # nothing tells but asking again
    return message


@pytest.mark.peers
@peer("curl")
def test_curl_sends_json_and_asks_what_became_of_it(door: Door, internet: Internet) -> None:
    authorization = ("-H", f"Authorization: Bearer {door.token}")
    said = run(
        *("curl", "-sS", f"{door.url}/v1/messages", *authorization),
        *("--json", json.dumps(MESSAGE | {"to": "json@accept.test"})),
    )
    sent = json.loads(said.stdout)
    arrived = internet.mail_to("json@accept.test")
    settled(door.client(), sent["id"])

    asked = run("curl", "-sS", f"{door.url}/v1/messages/{sent['id']}", *authorization)
    told = json.loads(asked.stdout)

    assert sent["warnings"] == []
    assert message_from_bytes(arrived.content)["message-id"] == sent["message_id"]
    assert_signed(arrived.content, internet)
    recipient = told["recipients"][0]
    assert (recipient["state"], recipient["tls"]["version"]) == ("delivered", "TLSv1.3")
    assert recipient["reply"]["code"] == 250


@pytest.mark.peers
@peer("curl")
def test_curl_sends_a_file(door: Door, internet: Internet, tmp_path: Path) -> None:
    (tmp_path / "letter.eml").write_bytes(letters.plain("file@accept.test"))

    run(
        *("curl", "-sS", "--fail-with-body"),
        f"{door.url}/v1/messages?from={letters.SENDER}&to=file@accept.test",
        *("-H", f"Authorization: Bearer {door.token}", "-H", "Content-Type: message/rfc822"),
        *("--data-binary", f"@{tmp_path / 'letter.eml'}"),
    )

    assert_signed(internet.mail_to("file@accept.test").content, internet)


def test_what_failed_is_told_with_its_reason(door: Door) -> None:
    client = door.client()

    sent = client.send(
        from_=letters.SENDER, to=["bob@accept.test", "nobody@picky.test"], text="t", subject="s"
    )

    message = settled(client, sent.id)
    assert [one.state for one in message.recipients] == ["delivered", "failed"]
    assert (message.recipients[1].reply or "").startswith("550 5.1.1")


def test_a_large_message_arrives_whole(door: Door, internet: Internet) -> None:
    content = bytes(range(256)) * 40_000

    door.client().send(
        from_=letters.SENDER,
        to="large@accept.test",
        subject="s",
        text="t",
        attachments=[Attachment("large.bin", content)],
    )

    arrived = message_from_bytes(internet.mail_to("large@accept.test").content)
    part = next(part for part in arrived.walk() if part.get_filename() == "large.bin")
    assert part.get_payload(decode=True) == content


def test_what_will_surprise_is_told(door: Door) -> None:
    client = door.client()

    sent = client.send(from_="x@unknown.test", to="w@accept.test", text="t")
    with pytest.raises(InvalidMessage, match="no-key"):
        client.send(from_="x@unknown.test", to="w@accept.test", text="t", strict=True)

    assert [code for code, _ in sent.warnings] == ["no-key", "no-subject"]


def test_a_token_that_is_nobody_s_sends_nothing(door: Door) -> None:
    with pytest.raises(NotAllowed):
        Client(door.url, "wrong", retries=0).send(from_=letters.SENDER, to="x@accept.test", text="")


def test_a_key_is_known_after_a_crash(door: Door, internet: Internet) -> None:
    def send() -> str:
        message = {"from_": letters.SENDER, "to": "key@accept.test", "subject": "s", "text": "t"}
        return door.client().send(**message, idempotency_key="k").id  # type: ignore[arg-type]

    first = send()
    settled(door.client(), first)
    door.server.kill()
    door.start()

    assert send() == first
    assert settled(door.client(), first).recipients[0].state == "delivered"
    assert len(internet.received_by("accept.test", "key@accept.test")) == 1


def examples(language: str) -> list[str]:
    """The examples of the documentation, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.peers
@peer("curl")
def test_the_documented_commands_work(door: Door, tmp_path: Path, internet: Internet) -> None:
    before = len(internet.received("accept.test"))

    for example in examples("sh"):
        command = example.replace("http://127.0.0.1:8026", door.url)
        script = f"cd {tmp_path}; TOKEN={door.token}; set -euo pipefail; {command}"
        print(run("bash", "-c", script).stdout)
    (python,) = examples("python")
    program = python.replace("http://127.0.0.1:8026", door.url).replace("TOKEN", "sys.argv[1]")
    run(sys.executable, "-c", f"import sys\n{program}", door.token)

    assert len(internet.mail("accept.test", before + 6)) == before + 6


def test_a_key_in_a_message_by_smtp_is_known_after_a_crash(
    own: ServerProcess, internet: Internet
) -> None:
    letter = letters.with_body("smtp-key@accept.test", b"Hi\r\n", more=b"Idempotency-Key: k\r\n")
    own.start()

    def send() -> str:
        with smtplib.SMTP("127.0.0.1", own.port, timeout=20) as client:
            client.ehlo()
            client.mail(letters.SENDER)
            client.rcpt("smtp-key@accept.test")
            code, text = client.data(letter)
        assert code == 250
        return text.decode()

    first = send()
    own.event(event="settled")
    own.kill()
    own.start()

    assert send() == first
    (arrived,) = internet.received_by("accept.test", "smtp-key@accept.test")
    assert b"Idempotency-Key" not in arrived.content


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(5))
def test_a_crash_at_any_moment_stores_no_message_twice(
    door: Door, internet: Internet, seed: int
) -> None:
    addresses = [f"crash-{seed}-{number}@accept.test" for number in range(60)]
    answered: dict[str, str] = {}

    def send(address: str, retries: int) -> str:
        return (
            door.client(retries)
            .send(from_=letters.SENDER, to=address, subject="s", text="t", idempotency_key=address)
            .id
        )

    def send_all() -> None:
        for address in addresses:
            try:
                answered[address] = send(address, 0)
            except MtaError:
                return

    sender = threading.Thread(target=send_all)
    sender.start()
    while len(answered) < 3 + 7 * seed:
        time.sleep(0.001)  # the moment is what chance makes of it
    door.server.kill()
    sender.join(30)
    door.start()
    again = {address: send(address, 3) for address in addresses}
    for id in again.values():
        assert settled(door.client(), id).recipients[0].state == "delivered"

    assert {address: again[address] for address in answered} == answered
    for address in addresses:
        came = internet.received_by("accept.test", address)
        assert len({message_from_bytes(mail.content)["message-id"] for mail in came}) == 1


def test_several_processes_have_one_door_and_know_each_other_s_keys(own: ServerProcess) -> None:
    own.settings["processes"] = 2
    door = Door(own)
    door.start()

    first = door.client().send(
        from_=letters.SENDER, to="two@accept.test", text="t", idempotency_key="k"
    )
    settled(door.client(), first.id)
    again = door.client().send(
        from_=letters.SENDER, to="two@accept.test", text="t", idempotency_key="k"
    )

    assert (again.id, again.is_repeat) == (first.id, True)
    assert len([line for line in own.log if "HTTP: http" in line]) == 1


@pytest.fixture
def taken() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield listening.getsockname()[1]


def test_an_address_that_is_taken_does_not_stop_the_mail(
    own: ServerProcess, internet: Internet, taken: int
) -> None:
    own.settings["admin"] = {"address": f"127.0.0.1:{taken}"}
    own.start()

    own.says("admin: cannot listen")
    with smtplib.SMTP("127.0.0.1", own.port, timeout=20) as client:
        client.sendmail(letters.SENDER, ["on@accept.test"], letters.plain("on@accept.test"))
    internet.mail_to("on@accept.test")
