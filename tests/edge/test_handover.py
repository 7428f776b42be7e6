"""Handing a message to the server: what each of its answers means."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mta.model.address import parse_address
from mta.model.listener import Endpoint, UnixSocket
from mta.model.outcome import Stage

from mta.rules.message.dropfile import Drop

from mta.edge.handover import Answer, Fate, hand_over, relay

DROP = Drop(
    parse_address("ann@x.test"),
    (parse_address("bob@y.test"), parse_address("carol@y.test")),
    b"Subject: x\r\n\r\n.dot\r\n",
)
HELLO = b"250-there\r\n250-SIZE 100\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n"
OK = b"250 2.0.0 OK\r\n"
GO_ON = b"354 go on\r\n"
GOOD = [b"220 there\r\n", HELLO, OK, OK, OK, GO_ON, b"250 2.0.0 Queued as 1\r\n"]


@contextmanager
def server(*replies: bytes) -> Iterator[tuple[Endpoint, list[bytes]]]:
    """A server that says these in turn, after a line each, and then hangs up."""
    heard: list[bytes] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=serve, args=(listener, replies, heard))
        thread.start()
        yield Endpoint("127.0.0.1", listener.getsockname()[1]), heard
        thread.join()


def serve(listener: socket.socket, replies: tuple[bytes, ...], heard: list[bytes]) -> None:
    link, _ = listener.accept()
    link.settimeout(10)
    with link, link.makefile("rb") as lines:
        before = b""
        for reply in replies:
            if before.startswith(b"354"):
                while (line := lines.readline()) not in (b".\r\n", b""):
                    heard.append(line)
            elif before:
                heard.append(lines.readline())
            link.sendall(reply)
            before = reply


def answer_to(*replies: bytes, drop: Drop = DROP) -> tuple[Answer, list[bytes]]:
    with server(*replies) as (door, heard):
        return hand_over(door, drop, "host.test"), heard


def test_a_message_is_handed_over() -> None:
    answer, heard = answer_to(*GOOD)

    assert answer == Answer(Fate.TAKEN, Stage.CONTENT, "2.0.0 Queued as 1", 250)
    assert heard == [
        b"EHLO host.test\r\n",
        b"MAIL FROM:<ann@x.test> SIZE=20\r\n",
        b"RCPT TO:<bob@y.test>\r\n",
        b"RCPT TO:<carol@y.test>\r\n",
        b"DATA\r\n",
        b"Subject: x\r\n",
        b"\r\n",
        b"..dot\r\n",
    ]


def test_what_is_asked_for_is_said_where_it_is_offered() -> None:
    drop = Drop(
        None,
        (parse_address("bób@y.test"),),
        b"\xff\r\n",
        is_smtputf8=True,
        parameters="RET=HDRS ENVID=1",
        recipient_parameters="NOTIFY=NEVER",
    )

    _, offered = answer_to(*GOOD[:3], *GOOD[4:], drop=drop)
    _, bare = answer_to(GOOD[0], b"250 there\r\n", OK, *GOOD[4:], drop=drop)

    assert offered[1:3] == [
        b"MAIL FROM:<> SIZE=3 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=1\r\n",
        "RCPT TO:<bób@y.test> NOTIFY=NEVER\r\n".encode(),
    ]
    assert bare[1:3] == [b"MAIL FROM:<>\r\n", "RCPT TO:<bób@y.test>\r\n".encode()]


@pytest.mark.parametrize(
    ("replies", "fate", "stage", "words"),
    [
        ([b"421 4.3.2 busy\r\n"], Fate.NOT_TAKEN, Stage.GREETING, "421 4.3.2 busy"),
        ([b"554 5.7.1 no\r\n"], Fate.REFUSED, Stage.GREETING, "554 5.7.1 no"),
        ([b"SSH-2.0-x\r\n"], Fate.NOT_TAKEN, Stage.GREETING, "expected a reply"),
        ([b"220 " + b"x" * 5000], Fate.NOT_TAKEN, Stage.GREETING, "closed it"),
        ([b"220-x\r\n" * 200], Fate.NOT_TAKEN, Stage.GREETING, "expected a reply"),
        ([b""], Fate.NOT_TAKEN, Stage.GREETING, "closed it"),
        ([GOOD[0], b"502 no\r\n"], Fate.REFUSED, Stage.HELLO, "502 no"),
        ([*GOOD[:2], b"452 full\r\n"], Fate.NOT_TAKEN, Stage.SENDER, "452 full"),
        ([*GOOD[:2], b"550 not yours\r\n"], Fate.REFUSED, Stage.SENDER, "550 not yours"),
        ([*GOOD[:2], b"552 too large\r\n"], Fate.REFUSED, Stage.SENDER, "552 too large"),
        ([*GOOD[:3], OK, b"550 who?\r\n"], Fate.REFUSED, Stage.RECIPIENT, "550 carol@y.test: who?"),
        ([*GOOD[:3], b"550 a\r\n", b"550 b\r\n"], Fate.REFUSED, Stage.RECIPIENT, "carol@y.test: b"),
        ([*GOOD[:3], b"450 a\r\n", b"550 b\r\n"], Fate.REFUSED, Stage.RECIPIENT, "550 carol@y"),
        ([*GOOD[:3], OK, b"450 later\r\n"], Fate.NOT_TAKEN, Stage.RECIPIENT, "450 carol@y.test"),
        ([*GOOD[:5], b"451 later\r\n"], Fate.NOT_TAKEN, Stage.CONTENT, "451 later"),
        ([*GOOD[:6], b"452 full\r\n"], Fate.NOT_TAKEN, Stage.CONTENT, "452 full"),
        ([*GOOD[:6], b"554 no NUL\r\n"], Fate.REFUSED, Stage.CONTENT, "554 no NUL"),
        ([*GOOD[:6], b""], Fate.UNKNOWN, Stage.CONTENT, "closed it"),
        ([*GOOD[:6], b"25"], Fate.UNKNOWN, Stage.CONTENT, "closed it"),
        ([*GOOD[:6], b"hello\r\n"], Fate.UNKNOWN, Stage.CONTENT, "expected a reply"),
    ],
)
def test_an_answer_means(replies: list[bytes], fate: Fate, stage: Stage, words: str) -> None:
    answer, _ = answer_to(*replies)

    assert (answer.fate, answer.stage) == (fate, stage)
    assert words in answer.text


def test_a_connection_that_breaks_before_the_dot_is_no_doubt() -> None:
    answer, _ = answer_to(*GOOD[:5])

    assert answer.fate is Fate.NOT_TAKEN


def test_where_nobody_listens_it_is_not_taken(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    path = str(tmp_path / "socket")

    for door in (Endpoint("127.0.0.1", port), UnixSocket(path), UnixSocket("/" + "x" * 200)):
        assert hand_over(door, DROP, "host.test").fate is Fate.NOT_TAKEN


def test_a_conversation_is_passed_on_both_ways(tmp_path: Path) -> None:
    said = tmp_path / "said"
    said.write_bytes(b"EHLO x\r\nQUIT\r\n")
    heard = tmp_path / "heard"

    with (
        server(b"220 there\r\n", HELLO, b"221 bye\r\n") as (door, lines),
        said.open("rb") as given,
        heard.open("wb") as taken,
    ):
        assert relay(door, given.fileno(), taken.fileno())

    assert lines == [b"EHLO x\r\n", b"QUIT\r\n"]
    assert heard.read_bytes() == b"220 there\r\n" + HELLO + b"221 bye\r\n"


def test_a_conversation_by_pipes_waits_for_each_side() -> None:
    given, ours = os.pipe()
    theirs, taken = os.pipe()

    with server(b"220 there\r\n", b"221 bye\r\n") as (door, lines):
        thread = threading.Thread(target=relay, args=(door, given, taken))
        thread.start()
        assert os.read(theirs, 100) == b"220 there\r\n"
        os.write(ours, b"QUIT\r\n")
        assert os.read(theirs, 100) == b"221 bye\r\n"
        thread.join(10)

    assert not thread.is_alive()
    assert lines == [b"QUIT\r\n"]
    for file in (given, ours, theirs, taken):
        os.close(file)


def test_a_conversation_with_nobody_is_none(tmp_path: Path) -> None:
    assert not relay(UnixSocket(str(tmp_path / "socket")), 0, 1)
