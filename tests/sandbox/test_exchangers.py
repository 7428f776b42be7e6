"""The sandbox's mail exchangers, asked by Python's own smtplib from a thread."""

import asyncio
import json
import smtplib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from mta.edge.certificates import ensure_self_signed

from mta.sandbox.exchangers import Exchanger, Manners, Starttls
from mta.sandbox.loopback import SandboxError, listeners

T = TypeVar("T")
ADDRESS = "127.0.0.1"
LETTER = b"Subject: hello\r\n\r\n.leading dot\r\nno newline at the end"
ON_THE_WIRE = LETTER + b"\r\n"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("tls")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*ensure_self_signed(folder, "mx.there.test", time.time()))
    return context


@asynccontextmanager
async def exchanger(
    manners: Manners, tls: ssl.SSLContext | None = None, folder: Path | None = None
) -> AsyncIterator[tuple[Exchanger, int]]:
    (listener,) = listeners([ADDRESS])
    there = Exchanger("mx.there.test", manners, tls=tls, folder=folder)
    await there.start(listener)
    try:
        yield there, listener.getsockname()[1]
    finally:
        await there.close()


def asked(
    manners: Manners,
    question: Callable[[smtplib.SMTP], T],
    tls: ssl.SSLContext | None = None,
    folder: Path | None = None,
) -> tuple[T, Exchanger]:
    """What a client in a thread got as an answer, and the exchanger it talked with."""

    def talk(port: int) -> T:
        with smtplib.SMTP(ADDRESS, port, local_hostname="client.test", timeout=10) as client:
            return question(client)

    async def session() -> tuple[T, Exchanger]:
        async with asyncio.timeout(20), exchanger(manners, tls, folder) as (there, port):
            return await asyncio.to_thread(talk, port), there

    return asyncio.run(session())


def sends(*recipients: str, sender: str = "app@app.test") -> Callable[[smtplib.SMTP], object]:
    return lambda client: client.sendmail(sender, recipients, LETTER)


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


CLEAR = Manners(starttls=Starttls.ABSENT)


def test_an_exchanger_keeps_the_bytes_that_came_and_their_envelope() -> None:
    _, there = asked(CLEAR, sends("anna@there.test", "ben@there.test"))

    (received,) = there.mail
    assert received.content == ON_THE_WIRE
    assert received.sender == "app@app.test"
    assert received.recipients == ("anna@there.test", "ben@there.test")
    assert received.helo == "client.test"


def test_an_exchanger_keeps_each_message_as_files(tmp_path: Path) -> None:
    asked(CLEAR, sends("anna@there.test"), folder=tmp_path / "there.test")

    assert (tmp_path / "there.test" / "001.eml").read_bytes() == ON_THE_WIRE
    envelope = json.loads((tmp_path / "there.test" / "001.json").read_text())
    assert envelope["recipients"] == ["anna@there.test"]


def test_the_null_sender_is_kept_as_an_empty_one() -> None:
    _, there = asked(CLEAR, sends("anna@there.test", sender=""))

    assert there.mail[0].sender == ""


def test_an_address_may_be_utf_8() -> None:
    def send(client: smtplib.SMTP) -> None:
        client.ehlo()
        client.sendmail("app@app.test", "jörg@there.test", LETTER, mail_options=["SMTPUTF8"])

    _, there = asked(CLEAR, send)

    assert there.mail[0].recipients == ("jörg@there.test",)


def test_starttls_protects_what_comes_after_it(tls: ssl.SSLContext) -> None:
    def send(client: smtplib.SMTP) -> None:
        client.starttls(context=unverified())
        client.sendmail("app@app.test", "anna@there.test", LETTER)

    _, there = asked(Manners(), send, tls)

    assert there.mail[0].tls in ("TLSv1.2", "TLSv1.3")


def test_an_exchanger_without_tls_does_not_offer_it(tls: ssl.SSLContext) -> None:
    def offers(client: smtplib.SMTP) -> bool:
        client.ehlo()
        return client.has_extn("starttls")

    offered, _ = asked(CLEAR, offers, tls)

    assert not offered


def test_broken_tls_is_offered_and_then_fails(tls: ssl.SSLContext) -> None:
    def attempt(client: smtplib.SMTP) -> bool:
        client.ehlo()
        offered = client.has_extn("starttls")
        with pytest.raises(ssl.SSLError, match=r"(?i)handshake"):
            client.starttls(context=unverified())
        return offered

    offered, _ = asked(Manners(starttls=Starttls.BROKEN), attempt, tls)

    assert offered


def test_what_an_exchanger_offers_is_what_mail_exchangers_offer(tls: ssl.SSLContext) -> None:
    def offers(client: smtplib.SMTP) -> set[str]:
        client.ehlo()
        return set(client.esmtp_features)

    offered, _ = asked(Manners(), offers, tls)

    assert offered == {
        "size",
        "8bitmime",
        "smtputf8",
        "starttls",
        "pipelining",
        "enhancedstatuscodes",
    }


def test_a_greylister_puts_each_stranger_off_once() -> None:
    def visits(client: smtplib.SMTP) -> list[int]:
        client.ehlo()
        client.mail("app@app.test")
        people = ("anna@there.test", "anna@there.test", "ben@there.test", "ben@there.test")
        return [client.rcpt(person)[0] for person in people]

    codes, _ = asked(Manners(starttls=Starttls.ABSENT, puts_off=1), visits)

    assert codes == [451, 250, 451, 250]


def test_an_unknown_recipient_is_refused_and_the_others_are_not() -> None:
    manners = Manners(starttls=Starttls.ABSENT, unknown=frozenset({"nobody"}))

    refused, there = asked(manners, sends("nobody@there.test", "anna@there.test"))

    assert refused == {
        "nobody@there.test": (550, b"5.1.1 <nobody@there.test>: no such mailbox here")
    }
    assert there.mail[0].recipients == ("anna@there.test",)


def test_a_reply_of_its_own_stands_in_for_the_kind_one() -> None:
    manners = Manners(at_sender="550 5.7.1 Blocked", at_recipient="452 4.2.2 Full")

    def commands(client: smtplib.SMTP) -> tuple[int, bytes]:
        client.ehlo()
        return client.mail("app@app.test")

    answer, there = asked(manners, commands)

    assert answer == (550, b"5.7.1 Blocked")
    assert there.mail == []


def test_a_greeting_of_its_own_is_the_last_word() -> None:
    async def greeting() -> bytes:
        async with exchanger(Manners(greeting="554 5.7.1 No service for you")) as (_, port):
            reader, writer = await asyncio.open_connection(ADDRESS, port)
            said = await asyncio.wait_for(reader.read(), 10)  # to the end of the stream
            writer.close()
            await writer.wait_closed()
            return said

    assert asyncio.run(greeting()) == b"554 5.7.1 No service for you\r\n"


def test_one_that_hangs_up_after_the_dot_keeps_nothing_of_it_and_takes_the_next() -> None:
    def send_and_send_again(client: smtplib.SMTP) -> None:
        assert client.sock is not None
        there = client.sock.getpeername()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.sendmail("app@app.test", "anna@there.test", LETTER)
        client.connect(*there)
        client.ehlo()
        client.sendmail("app@app.test", "anna@there.test", LETTER)

    _, there = asked(Manners(starttls=Starttls.ABSENT, hangs_up=1), send_and_send_again)

    assert len(there.mail) == 1
    assert there.connections == 2


def test_a_slow_one_waits_before_each_reply_but_not_before_each_line(tls: ssl.SSLContext) -> None:
    async def session() -> tuple[bytes, float]:
        async with exchanger(Manners(delay=0.2), tls) as (_, port):
            reader, writer = await asyncio.open_connection(ADDRESS, port)
            clock = asyncio.get_running_loop()
            started_at = clock.time()
            await reader.readuntil(b"\r\n")
            writer.write(b"EHLO client.test\r\n")
            offered = await asyncio.wait_for(reader.readuntil(b"250 "), 10)
            writer.close()
            await writer.wait_closed()
            return offered, clock.time() - started_at

    offered, seconds = asyncio.run(session())

    assert offered.count(b"\r\n") > 4
    assert 0.4 <= seconds < 0.8


def test_one_with_logins_takes_mail_from_those_who_log_in(tls: ssl.SSLContext) -> None:
    def send(client: smtplib.SMTP) -> tuple[int, bytes]:
        client.starttls(context=unverified())
        client.ehlo()
        before = client.mail("app@app.test")
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("app", "wrong")
        client.login("app", "secret")
        client.sendmail("app@app.test", "anna@there.test", LETTER)
        return before

    before, there = asked(Manners(logins={"app": "secret"}), send, tls)

    assert before[0] == 530
    assert there.mail[0].login == "app"


def test_who_waits_for_mail_is_told_when_it_comes() -> None:
    async def session() -> int:
        async with asyncio.timeout(20), exchanger(CLEAR) as (there, port):
            waiting = asyncio.create_task(there.until(2))

            def talk() -> None:
                with smtplib.SMTP(ADDRESS, port, timeout=10) as client:
                    client.sendmail("app@app.test", "anna@there.test", LETTER)
                    client.sendmail("app@app.test", "anna@there.test", LETTER)

            await asyncio.to_thread(talk)
            return len(await waiting)

    assert asyncio.run(session()) == 2


def test_an_exchanger_that_closes_breaks_the_connections_that_are_left() -> None:
    async def session() -> bytes:
        async with asyncio.timeout(20), exchanger(CLEAR) as (there, port):
            reader, writer = await asyncio.open_connection(ADDRESS, port)
            await reader.readuntil(b"\r\n")
            await there.close()
            rest = await reader.read()  # ends only with the connection
            writer.close()
            await writer.wait_closed()
            return rest

    assert asyncio.run(session()) == b""


def test_listeners_share_one_port_on_several_addresses() -> None:
    bound = listeners(["127.0.0.1", "127.0.0.2", "127.0.0.3"])

    ports = {each.getsockname()[1] for each in bound}
    for each in bound:
        each.close()
    assert len(ports) == 1


def test_a_socket_that_nobody_listens_on_refuses_connections() -> None:
    with listeners(["127.0.0.1"])[0] as dead, pytest.raises(ConnectionRefusedError):
        socket.create_connection(dead.getsockname(), timeout=5)


def test_an_address_that_the_system_lacks_is_named_with_the_cure() -> None:
    with pytest.raises(SandboxError, match=r"192\.0\.2\.1.*ifconfig lo0 alias"):
        listeners(["127.0.0.1", "192.0.2.1"])


def test_a_port_that_is_taken_is_named() -> None:
    with listeners(["127.0.0.1"])[0] as taken:
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(SandboxError, match=rf"cannot bind 127\.0\.0\.1:{port}"):
            listeners(["127.0.0.1"], port)
