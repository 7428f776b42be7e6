"""The sinks: real ones, and mail sent to them by hand."""

import shutil
import smtplib
import socket
import time

import pytest

from tests.bench.sinks import Exchanger, Sink, SmtpSink

LETTER = b"Subject: Hi\r\n\r\n..dots\r\n"


def send(sink: Sink, count: int = 1, recipients: int = 1) -> None:
    with smtplib.SMTP("127.0.0.1", sink.port, "client.test", timeout=20) as client:
        for _ in range(count):
            client.sendmail("a@b.test", [f"{n}@there.test" for n in range(recipients)], LETTER)


@pytest.mark.peers
@pytest.mark.skipif(shutil.which("smtp-sink") is None, reason="smtp-sink is not installed")
def test_smtp_sinks_counter_is_read() -> None:
    with SmtpSink(connections=5) as sink:
        send(sink, count=3)

        tally = sink.wait_for(20, messages=3)

    assert tally.messages == 3
    assert 0 <= time.monotonic() - tally.last_at < 20


def test_the_exchanger_counts_messages_and_recipients() -> None:
    with Exchanger() as sink:
        send(sink, count=2, recipients=3)

        tally = sink.wait_for(20, recipients=6)

    assert (tally.messages, tally.recipients, tally.refused) == (2, 6, 0)


def test_the_exchanger_refuses_until_it_is_told_to_accept() -> None:
    with Exchanger() as sink:
        sink.say("refuse")
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
            send(sink)
        sink.wait_for(20, refused=1)
        sink.say("accept")
        send(sink)

        tally = sink.wait_for(20, messages=1)

    assert refusal.value.recipients == {"0@there.test": (450, b"4.2.0 Come again later")}
    assert (tally.recipients, tally.refused) == (1, 1)


def test_commands_sent_in_one_go_are_answered_together_after_the_delay() -> None:
    delay = 0.1
    with Exchanger(delay) as sink, socket.create_connection(("127.0.0.1", sink.port), 20) as client:
        assert client.recv(1000).startswith(b"220 ")
        began_at = time.monotonic()

        client.sendall(b"MAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n")
        replies = client.recv(1000).splitlines()

        assert [reply[:3] for reply in replies] == [b"250", b"250", b"354"]
        assert time.monotonic() - began_at > delay * 0.9  # a loop's clock is coarse
