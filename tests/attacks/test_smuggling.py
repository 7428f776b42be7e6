"""A second message hidden in the first: nobody on the way to its end may see it.

Through the real server to a real exchanger, by DATA and by BDAT; what is one message here must be
one message there.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pytest

from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e import letters

PATIENCE = 20.0
# What some server somewhere has taken for the end of a content.
ENDS = {
    "lf-dot-lf": b"\n.\n",
    "lf-dot-crlf": b"\n.\r\n",
    "crlf-dot-lf": b"\r\n.\n",
    "cr-dot-cr": b"\r.\r",
    "crlf-dot-cr": b"\r\n.\r",
    "cr-dot-crlf": b"\r.\r\n",
    "lf-dot-cr": b"\n.\r",
    "crlf-cr-dot-crlf": b"\r\n\r.\r\n",
    "crlf-dot-cr-crlf": b"\r\n.\r\r\n",
    "crcr-lf-dot": b"\r\r\n.\r\r\n",
    "crlf-dot-dot-crlf": b"\r\n..\r\n",
    "crlf-dot-blank-crlf": b"\r\n. \r\n",
    "crlf-blank-dot-crlf": b"\r\n .\r\n",
    "vertical-tab": b"\x0b.\x0b",
    "form-feed": b"\x0c.\x0c",
    "next-line": "\u0085.\u0085".encode(),
    "line-separator": "\u2028.\u2028".encode(),
    "next-line-in-latin-1": b"\x85.\x85",
}
WHOLE = {"crlf-dot-crlf": b"\r\n.\r\n"}  # which BDAT may bring as text
SMUGGLED = (
    b"MAIL FROM:<admin@sender.test>\r\nRCPT TO:<victim@d02.test>\r\nDATA\r\n"
    b"Subject: smuggled\r\n\r\nx"
)


@contextmanager
def transaction(server: ServerProcess, recipient: str) -> Iterator[tuple[socket.socket, BinaryIO]]:
    """A connection at which a content is to come, and its replies."""
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as connection:
        replies = connection.makefile("rb")
        connection.sendall(
            b"EHLO client.test\r\nMAIL FROM:<%s>\r\nRCPT TO:<%s>\r\n"
            % (letters.SENDER.encode(), recipient.encode())
        )
        assert replies.readline()[:4] == b"220 "
        while replies.readline()[3:4] == b"-":
            pass
        assert [replies.readline()[:3] for _ in range(2)] == [b"250", b"250"]
        yield connection, replies


def assert_one_message_arrived(internet: Internet, recipient: str) -> bytes:
    arrived = internet.mail_to(recipient)
    assert internet.received_by("d01.test", recipient) == [arrived]
    assert arrived.recipients == (recipient,)
    assert b"smuggled" in arrived.content
    lines = arrived.content.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert internet.received("d02.test") == []
    return arrived.content


@pytest.mark.parametrize("end", ENDS)
def test_what_is_no_end_by_data_is_none_at_the_exchanger(
    server: ServerProcess, internet: Internet, end: str
) -> None:
    recipient = f"{end}@d01.test"
    content = letters.with_body(recipient, b"a" + ENDS[end] + SMUGGLED + ENDS[end] + b"QUIT")

    with transaction(server, recipient) as (connection, replies):
        connection.sendall(b"DATA\r\n")
        assert replies.readline()[:3] == b"354"
        connection.sendall(content + b"\r\n.\r\nQUIT\r\n")
        heard = [line[:3] for line in replies]

    assert heard == [b"250", b"221"]
    assert_one_message_arrived(internet, recipient)


@pytest.mark.parametrize("end", ENDS | WHOLE)
def test_what_comes_by_bdat_is_no_end_at_the_exchanger(
    server: ServerProcess, internet: Internet, end: str
) -> None:
    recipient = f"bdat-{end}@d01.test"
    dots = (ENDS | WHOLE)[end]
    content = letters.with_body(recipient, b"a" + dots + SMUGGLED + dots + b"QUIT\r\n")
    middle = content.index(dots) + 2  # the pieces part it

    with transaction(server, recipient) as (connection, replies):
        for piece, last in ((content[:middle], b""), (content[middle:], b" LAST")):
            connection.sendall(b"BDAT %d%s\r\n" % (len(piece), last) + piece)
        connection.sendall(b"QUIT\r\n")
        heard = [line[:3] for line in replies]

    assert heard == [b"250", b"250", b"221"]
    arrived = assert_one_message_arrived(internet, recipient)
    assert b"\r\nx" in arrived  # and all of it came


def test_a_content_with_nul_is_refused_and_what_follows_it_is_read_as_ever(
    server: ServerProcess, internet: Internet
) -> None:
    recipient = "nul@d01.test"

    with transaction(server, recipient) as (connection, replies):
        connection.sendall(b"DATA\r\n")
        assert replies.readline()[:3] == b"354"
        connection.sendall(b"a\r\n.\0\r\n" + SMUGGLED + b"\r\n.\r\nNOOP\r\nQUIT\r\n")
        heard = [line[:3] for line in replies]

    assert heard == [b"554", b"250", b"221"]
    assert internet.received_by("d01.test", recipient) == []
