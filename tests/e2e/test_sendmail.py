"""`mta sendmail` with the real server, without it, and between its crashes."""

import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from pwd import getpwuid
from typing import Any

import pytest

from mta.model.trouble import SpoolError

from mta.rules.message.dropfile import is_drop_id

from mta.edge.spool.inspection import inspect

from mta.sandbox.internet import Internet
from mta.sandbox.loopback import SandboxError
from mta.sandbox.process import ServerProcess
from tests.e2e.copies import MARK
from tests.e2e.evidence import harmed, lost, needless
from tests.e2e.sendmail import AS_NOBODY, environment_of, linked, send
from tests.e2e.sink import Sink
from tests.e2e.traffic import Sent
from tests.e2e.watching import wait_until
from tests.strangers import let_in

ME = getpwuid(os.getuid()).pw_name
MESSAGE = b"Subject: hello\n\nIt works.\n"


@pytest.fixture
def sendmail(tmp_path: Path) -> Path:
    return linked(tmp_path, "sendmail")


@pytest.fixture
def near(server: ServerProcess, tmp_path: Path) -> dict[str, str]:
    """The environment of programs beside a server that runs."""
    return environment_of(server.settings, tmp_path, server.port)


@pytest.fixture
def alone(own: ServerProcess, tmp_path: Path) -> dict[str, str]:
    """The same, where the server ran once and does not now."""
    own.start()
    own.stop()
    return environment_of(own.settings, tmp_path)


def maildrop(server: ServerProcess) -> Path:
    return Path(server.settings["spool"]) / "maildrop"


def dropped(server: ServerProcess) -> list[Path]:
    return list(maildrop(server).glob("*.mail"))


def test_a_message_is_handed_to_the_server_and_completed(
    sendmail: Path, near: Mapping[str, str], internet: Internet
) -> None:
    done = send(sendmail, near, "-F", "Ann Doe", "sm-one@accept.test", given=MESSAGE)

    arrived = internet.mail_to("sm-one@accept.test")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert arrived.sender == f"{ME}@mail.app.test"
    header, _, body = arrived.content.partition(b"\r\n\r\n")
    assert b"\r\nFrom: Ann Doe <" + ME.encode() + b"@mail.app.test>\r\n" in header
    assert b"\r\nDate: " in header
    assert b"\r\nMessage-ID: <" in header
    assert body == b"It works.\r\n"


def test_recipients_come_from_the_header_and_bcc_goes(
    sendmail: Path, near: Mapping[str, str], internet: Internet
) -> None:
    letter = (
        b"From: a@app.test\nTo: sm-to@accept.test\nCc: C <sm-cc@accept.test>\n"
        b"Bcc: sm-bcc@accept.test\n\nx\n"
    )

    done = send(sendmail, near, "-ti", "sm-more@accept.test", given=letter)

    assert done.returncode == 0
    for who in ("to", "cc", "bcc", "more"):
        arrived = internet.mail_to(f"sm-{who}@accept.test")
        assert b"sm-bcc" not in arrived.content
        assert b"Cc: C <sm-cc@accept.test>" in arrived.content


def test_dots_lines_and_octets_arrive_as_they_were(
    sendmail: Path, near: Mapping[str, str], internet: Internet
) -> None:
    body = b".\n..\n.x\n\xe4\xff\nlast"

    send(sendmail, near, "-oi", "sm-dots@accept.test", given=b"Subject: x\n\n" + body)
    send(sendmail, near, "sm-dot@accept.test", given=b"Subject: x\n\na\n.\nb\n")

    arrived = internet.mail_to("sm-dots@accept.test").content.partition(b"\r\n\r\n")[2]
    assert arrived == body.replace(b"\n", b"\r\n") + b"\r\n"
    assert internet.mail_to("sm-dot@accept.test").content.endswith(b"\r\n\r\na\r\n")


def test_verbose_says_what_the_server_said(sendmail: Path, near: Mapping[str, str]) -> None:
    done = send(sendmail, near, "-v", "sm-v@accept.test", given=MESSAGE)

    assert b"Queued as" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], os.EX_USAGE, b"expected recipients"),
        (["-Z"], os.EX_USAGE, b"option -Z"),
        (["-t"], os.EX_USAGE, b"found none in the message"),
        (["a b"], os.EX_DATAERR, b"expected mailboxes"),
        (["-f", "a@b, c@d", "bob@accept.test"], os.EX_DATAERR, b"expected one mailbox"),
        (["-C", "/nowhere.yaml", "bob@accept.test"], os.EX_CONFIG, b"expected a readable file"),
    ],
)
def test_what_is_wrong_is_said_with_a_code(
    sendmail: Path,
    near: Mapping[str, str],
    arguments: list[str],
    status: int,
    words: bytes,
) -> None:
    done = send(sendmail, near, *arguments, given=MESSAGE)

    assert done.returncode == status
    assert done.stderr.startswith(b"sendmail: ")
    assert words in done.stderr


def test_what_the_server_refuses_is_not_dropped(own: ServerProcess, tmp_path: Path) -> None:
    own.settings["senders"] = ["app.test"]
    own.settings["limits"] = {"message_size": "10KiB", "recipients": 2}
    own.start()
    near = environment_of(own.settings, tmp_path, own.port)
    sendmail = linked(tmp_path, "sendmail")

    foreign = send(sendmail, near, "-f", "eve@elsewhere.test", "bob@accept.test", given=MESSAGE)
    nul = send(sendmail, near, "-f", "a@app.test", "bob@accept.test", given=b"\0")
    large = send(sendmail, near, "-f", "a@app.test", "bob@accept.test", given=b"x" * 11_000)
    many = send(sendmail, near, "-f", "a@app.test", *(f"{n}@accept.test" for n in "abc"))

    assert (foreign.returncode, nul.returncode) == (os.EX_NOPERM, os.EX_DATAERR)
    assert (large.returncode, many.returncode) == (os.EX_DATAERR, os.EX_DATAERR)
    assert b"elsewhere.test is not one of" in foreign.stderr
    assert dropped(own) == []


def test_what_would_be_refused_is_not_dropped_either(
    own: ServerProcess, alone: Mapping[str, str], tmp_path: Path
) -> None:
    alone = environment_of(own.settings | {"senders": ["app.test"]}, tmp_path)
    sendmail = linked(tmp_path, "sendmail")

    foreign = send(sendmail, alone, "-f", "eve@elsewhere.test", "bob@accept.test", given=MESSAGE)
    nul = send(sendmail, alone, "-f", "a@app.test", "bob@accept.test", given=b"\0")

    assert (foreign.returncode, nul.returncode) == (os.EX_NOPERM, os.EX_DATAERR)
    assert dropped(own) == []


def test_what_is_dropped_while_the_server_is_down_is_sent_when_it_starts(
    own: ServerProcess, alone: Mapping[str, str], internet: Internet, tmp_path: Path
) -> None:
    done = send(linked(tmp_path, "sendmail"), alone, "-v", "sm-down@accept.test", given=MESSAGE)
    assert done.returncode == 0
    assert b"left in the drop folder" in done.stderr
    assert len(dropped(own)) == 1

    own.start()

    arrived = internet.mail_to("sm-down@accept.test")
    accepted = own.event(event="accepted", client=f"unix:{os.getuid()}")
    assert accepted["id"].encode() in done.stderr
    assert f"from {ME} (unix uid {os.getuid()})".encode() in arrived.content
    assert dropped(own) == []


def test_a_running_server_takes_what_is_dropped(
    own: ServerProcess, internet: Internet, sendmail: Path, tmp_path: Path
) -> None:
    own.settings["processes"] = 2
    own.start()
    alone = environment_of(own.settings, tmp_path)
    whom = [f"sm-run{number}@accept.test" for number in range(3)]

    codes = [send(sendmail, alone, who, given=MESSAGE).returncode for who in whom]

    assert codes == [0, 0, 0]
    own.events_with(3, event="settled")
    assert dropped(own) == []
    assert [len(internet.received_by("accept.test", who)) for who in whom] == [1, 1, 1]


def test_what_is_no_message_goes_to_quarantine_and_the_server_lives(
    own: ServerProcess, internet: Internet, tmp_path: Path
) -> None:
    own.start()
    (maildrop(own) / "hello").write_text("hello")
    (maildrop(own) / ("a" * 32 + ".mail")).symlink_to("/etc/passwd")

    own.says("put into quarantine: .*plain|put into quarantine: Too many levels|symbolic")
    wait_until(lambda: len(list((maildrop(own) / "quarantine").glob("*.txt"))) == 2)

    alone = environment_of(own.settings, tmp_path)
    send(linked(tmp_path, "sendmail"), alone, "sm-after@accept.test", given=MESSAGE)
    internet.mail_to("sm-after@accept.test")


def test_a_drop_folder_that_cannot_be_is_said_and_other_mail_goes(
    own: ServerProcess, internet: Internet, tmp_path: Path
) -> None:
    own.settings["maildrop"] = str(tmp_path / "nowhere" / "maildrop")

    own.start()

    own.says("the drop folder .* cannot be made: No such file")
    near = environment_of(own.settings, tmp_path, own.port)
    done = send(linked(tmp_path, "sendmail"), near, "sm-other@accept.test", given=MESSAGE)
    assert done.returncode == 0
    internet.mail_to("sm-other@accept.test")

    (tmp_path / "nowhere").mkdir()
    own.says("the drop folder is well again")


def test_without_server_and_folder_it_is_to_be_tried_again(
    own: ServerProcess, alone: Mapping[str, str], tmp_path: Path
) -> None:
    sendmail = linked(tmp_path, "sendmail")
    nowhere = environment_of(own.settings | {"maildrop": str(tmp_path / "nowhere")}, tmp_path)
    gone = send(sendmail, nowhere, "bob@accept.test", given=MESSAGE)
    none = environment_of(own.settings | {"maildrop": None}, tmp_path)
    off = send(sendmail, none, "bob@accept.test", given=MESSAGE)

    assert (gone.returncode, off.returncode) == (os.EX_TEMPFAIL, os.EX_TEMPFAIL)
    assert b"cannot be left in" in gone.stderr
    assert b"there is no drop folder" in off.stderr


def test_a_doubt_after_the_dot_is_said_where_no_keys_are_known(
    own: ServerProcess, alone: Mapping[str, str], tmp_path: Path
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=die_after_the_dot, args=(listener,))
        thread.start()
        settings = own.settings | {"history": {"keep": 0}}
        near = environment_of(settings, tmp_path, listener.getsockname()[1])
        done = send(linked(tmp_path, "sendmail"), near, "bob@accept.test", given=MESSAGE)
        thread.join()

    assert done.returncode == os.EX_TEMPFAIL
    assert b"the server may have the message, or may not" in done.stderr
    assert dropped(own) == []


def die_after_the_dot(listener: socket.socket) -> None:
    link, _ = listener.accept()
    with link, link.makefile("rb") as lines:
        link.sendall(b"220 there\r\n")
        for line in lines:
            if line == b".\r\n":
                return
            if line[:4] in (b"EHLO", b"MAIL", b"RCPT"):
                link.sendall(b"250 OK\r\n")
            elif line == b"DATA\r\n":
                link.sendall(b"354 go on\r\n")


@pytest.mark.parametrize("key", [b"", b"Idempotency-Key: the-program-s-own\n"])
def test_what_is_in_doubt_after_the_dot_is_dropped_too_and_taken_once(
    own: ServerProcess, internet: Internet, sendmail: Path, tmp_path: Path, key: bytes
) -> None:
    mine, other = ("sm-doubt-own", "sm-no-doubt-own") if key else ("sm-doubt", "sm-no-doubt")
    own.start()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=cut_the_last_reply, args=(listener, own.port))
        thread.start()
        near = environment_of(own.settings, tmp_path, listener.getsockname()[1])
        done = send(sendmail, near, "-v", f"{mine}@accept.test", given=key + MESSAGE)
        thread.join()
    then = send(sendmail, near, "-v", f"{other}@accept.test", given=MESSAGE)

    assert (done.returncode, then.returncode) == (0, 0)
    assert b"left in the drop folder" in done.stderr
    arrived = internet.mail_to(f"{mine}@accept.test")
    internet.mail_to(f"{other}@accept.test")  # dropped after it, so that one was looked at
    wait_until(lambda: not dropped(own))
    assert b"idempotency-key" not in arrived.content.lower()
    assert len(internet.received_by("accept.test", f"{mine}@accept.test")) == 1
    assert len(own.events_with(1, event="accepted", client="127.0.0.1")) == 1


def cut_the_last_reply(listener: socket.socket, port: int) -> None:
    """Pass a conversation on to the server, but for what it says to the final dot."""
    link, _ = listener.accept()
    server = socket.create_connection(("127.0.0.1", port), 10)
    with link, server, link.makefile("rb") as lines, server.makefile("rb") as replies:
        link.sendall(replies.readline())
        for line in lines:
            server.sendall(line)
            reply = replies.readline()
            while reply[3:4] == b"-":
                link.sendall(reply)
                reply = replies.readline()
            link.sendall(reply)
            if reply.startswith(b"354"):
                break
        while (line := lines.readline()) != b".\r\n":
            server.sendall(line)
        server.sendall(b".\r\n")
        assert replies.readline().startswith(b"250")


def test_smtp_is_spoken_on_standard_input(
    sendmail: Path, near: Mapping[str, str], internet: Internet, own: ServerProcess, tmp_path: Path
) -> None:
    said = (
        b"EHLO here\r\nMAIL FROM:<a@app.test>\r\nRCPT TO:<sm-bs@accept.test>\r\nDATA\r\n"
        b"Subject: x\r\n\r\nx\r\n.\r\nQUIT\r\n"
    )

    done = send(sendmail, near, "-bs", given=said)
    away = send(sendmail, environment_of(own.settings, tmp_path), "-bs", given=said)

    internet.mail_to("sm-bs@accept.test")
    assert done.returncode == 0
    assert done.stdout.startswith(b"220 ")
    assert done.stdout.splitlines()[-1].startswith(b"221 ")
    assert (away.returncode, away.stdout[:4]) == (os.EX_TEMPFAIL, b"421 ")


def test_a_unix_socket_is_a_door(own: ServerProcess, internet: Internet, tmp_path: Path) -> None:
    own.settings["listen"].append({"address": f"unix:{tmp_path / 'door'}"})
    own.start()
    near = environment_of(own.settings, tmp_path)

    done = send(linked(tmp_path, "sendmail"), near, "-v", "sm-unix@accept.test", given=MESSAGE)

    assert done.returncode == 0
    assert b"unix:" in done.stderr
    internet.mail_to("sm-unix@accept.test")


def test_other_names_do_other_things(
    near: Mapping[str, str], server: ServerProcess, tmp_path: Path
) -> None:
    mailq = send(linked(tmp_path, "mailq"), near)
    newaliases = send(linked(tmp_path, "newaliases"), near)
    queue = send(linked(tmp_path, "sendmail"), near, "-bp")
    run = send(linked(tmp_path, "sendmail"), near, "-q")
    spoken = send(linked(tmp_path, "mta"), near, "sendmail", "--help")

    assert [one.returncode for one in (mailq, newaliases, queue, run, spoken)] == [0] * 5
    assert b"messages, " in mailq.stdout
    assert b"messages, " in queue.stdout
    assert spoken.stdout.startswith(b"usage: mta sendmail")
    assert (newaliases.stdout, run.stdout) == (b"", b"")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_a_user_who_is_not_the_server_s_can_drop(
    own: ServerProcess, alone: Mapping[str, str], internet: Internet, tmp_path: Path
) -> None:
    let_in(tmp_path)
    (tmp_path / "handover.yaml").chmod(0o644)

    done = send(
        Path(sys.executable), alone, "-c", AS_NOBODY, "sm-nobody@accept.test", given=MESSAGE
    )
    own.start()

    assert (done.returncode, done.stderr) == (0, b"")
    assert internet.mail_to("sm-nobody@accept.test").sender == "nobody@mail.app.test"


# The server is killed again and again, and so are some of the programs that send.


class Crowd:
    """Programs that send by `sendmail`, one after another on each of two threads."""

    def __init__(self, sendmail: Path, environment: dict[str, str], seed: int) -> None:
        self.sent: list[Sent] = []  # `id` is "" for what was killed, or in doubt: None
        self.odd: list[tuple[int, bytes]] = []
        self._sendmail = sendmail
        self._environment = environment
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=self._send_all, args=(number, seed + number))
            for number in range(2)
        ]

    def __enter__(self) -> "Crowd":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _send_all(self, number: int, seed: int) -> None:
        chance = random.Random(seed)
        count = 0
        while not self._is_over.is_set():
            count += 1
            self._send(f"s{number}x{count}", chance)

    def _send(self, test_id: str, chance: random.Random) -> None:
        content = MARK + test_id.encode() + b"\r\nFrom: a@app.test\r\nDate: today\r\n\r\n"
        content += chance.randbytes(chance.choice((100, 5000))).hex(" ", 30).encode() + b"\r\n"
        recipient = f"{test_id}@fine.test"
        child = subprocess.Popen(
            [self._sendmail, "-i", "-f", "a@app.test", recipient],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment,
        )
        is_killed = chance.random() < 0.2
        if is_killed:
            threading.Timer(chance.uniform(0.1, 0.6), child.kill).start()
        said = child.communicate(content)[1]
        is_sure = child.returncode == 0
        if not is_sure and child.returncode != os.EX_TEMPFAIL and not is_killed:
            self.odd.append((child.returncode, said))
        digest = sha256(content).digest()
        self.sent.append(
            Sent(test_id, "a@app.test", (recipient,), digest, False, "sure" if is_sure else None)
        )


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(("fine.test", "app.test"), 1) as sink:
        yield sink


def spools_are_empty(settings: Mapping[str, Any]) -> bool:
    with suppress(SpoolError):
        return not inspect(Path(settings["spool"]))
    return False


@pytest.mark.timeout(300)
def test_crashes_lose_nothing_and_double_nothing(sink: Sink, tmp_path: Path) -> None:
    settings = sink.settings(tmp_path / "spool")
    settings["listen"].append({"address": f"unix:{tmp_path / 'door'}"})
    chance = random.Random(2)
    kills = []
    with closing(ServerProcess(settings, tmp_path)) as server:
        server.start()
        environment = environment_of(settings, tmp_path)
        with Crowd(linked(tmp_path, "sendmail"), environment, 3) as crowd:
            for _ in range(8):
                time.sleep(chance.uniform(0.2, 1.5))  # until a moment of chance
                kills.append(time.time())
                server.kill()
                time.sleep(chance.uniform(0.0, 1.0))
                with suppress(SandboxError):
                    server.start(within=chance.choice((0.5, 20.0)))
                if server.port == 0:
                    kills.append(time.time())
                    server.kill()
                    server.start()
        wait_until(lambda: not dropped(server) and spools_are_empty(settings), within=60)
        assert server.stop() == 0

    ids = [event["id"] for event in server.events if event["event"] == "accepted"]
    drops = [id for id in ids if is_drop_id(id)]
    sure = sum(one.id is not None for one in crowd.sent)
    print(f"\nsent {len(crowd.sent)}, sure {sure}, dropped {len(drops)}, came {len(sink.mail)}")
    assert crowd.odd == []
    assert drops
    assert lost(crowd.sent, sink) == []
    assert harmed(crowd.sent, sink) == []
    assert needless(sink.mail, kills) == []
    assert list((maildrop(server) / "quarantine").glob("*.txt")) == []
