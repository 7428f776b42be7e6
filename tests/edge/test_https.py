"""Asking strangers by HTTPS: what is taken from them, and what is not."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mta.model.policy import Unreached

from mta.edge.https import HttpsClient

from tests.edge.authority import Authority
from tests.edge.fake_door import LOOPS, run

HOST = "mta-sts.there.test"
PATH = "/.well-known/mta-sts.txt"
POLICY = b"version: STSv1\nmode: none\nmax_age: 86400\n"
LIMIT = 64 * 1024


def answer(
    body: bytes = POLICY, *fields: str, status: str = "200 OK", kind: str = "text/plain"
) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*head, "", ""]).encode() + body


class Stranger:
    """A server that says what it is told to, whatever it is asked; silent for None."""

    def __init__(self, says: bytes | None, *, goes_on: bytes = b"") -> None:
        self._says = says
        self._goes_on = goes_on  # said over and over, until nobody listens
        self.heard: list[bytes] = []
        self.port = 0

    @asynccontextmanager
    async def serving(self, context: ssl.SSLContext) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self.heard.append(head + await reader.readexactly(int(length or 0)))
            if self._says is None:
                await reader.read()
                return
            writer.write(self._says)
            while self._goes_on:
                writer.write(self._goes_on)
                await writer.drain()
                await asyncio.sleep(0)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def loopback(host: str) -> list[str]:
    return ["127.0.0.1"]


async def asked(
    stranger: Stranger,
    authority: Authority,
    *,
    context: ssl.SSLContext | None = None,
    trusts: bool = True,
    seconds: float = 10.0,
) -> bytes | Unreached:
    async with stranger.serving(context or authority.context(HOST)):
        client = HttpsClient(
            resolve=loopback,
            agent="mta",
            port=stranger.port,
            seconds=seconds,
            ca_file=authority.ca_file if trusts else None,
        )
        return await client.text(HOST, PATH, limit=LIMIT)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_text_is_fetched(authority: Authority, loop: str) -> None:
    stranger = Stranger(answer())

    text = run(asked(stranger, authority), loop)

    assert text == POLICY
    assert stranger.heard[0].startswith(f"GET {PATH} HTTP/1.1\r\nHost: {HOST}:".encode())


def test_parameters_of_the_type_are_passed_over(authority: Authority) -> None:
    stranger = Stranger(answer(kind="Text/Plain; charset=utf-8"))

    assert run(asked(stranger, authority)) == POLICY


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (answer(status="404 Not Found"), "expected status 200, got 404"),
        (answer(status="206 Partial Content"), "expected status 200, got 206"),
        (answer(b"", f"Location: https://{HOST}{PATH}", status="301 Moved"), "got 301"),
        (answer(b"", "Location: /elsewhere", status="302 Found"), "got 302"),
        (answer(kind="text/html"), "expected text/plain, got text/html"),
        (answer(kind=""), "expected text/plain, got "),
        (answer(POLICY, "Content-Encoding: gzip"), "got a Content-Encoding"),
        (answer(b"x" * (LIMIT + 1)), f"expected at most {LIMIT} octets, got more"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 99\r\n\r\nhalf", ""),
        (b"220 mx.there.test ESMTP\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", ""),
        (b"", ""),
    ],
)
def test_what_is_no_text_of_ours_is_not_taken(authority: Authority, says: bytes, why: str) -> None:
    stranger = Stranger(says)

    heard = run(asked(stranger, authority))

    assert isinstance(heard, Unreached)
    assert why in heard.text
    assert heard.text.isprintable()
    assert not heard.is_certificate
    assert len(stranger.heard) <= 2  # once more where it hung up, and never anywhere else


ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_an_endless_text_is_broken_off(authority: Authority) -> None:
    heard = run(asked(Stranger(ENDLESS, goes_on=b"400\r\n" + b"x" * 0x400 + b"\r\n"), authority))

    assert heard == Unreached(f"expected at most {LIMIT} octets, got more")


@pytest.mark.parametrize(
    "stranger",
    [
        lambda: Stranger(None),
        lambda: Stranger(b"HTTP/1.1 200 OK\r\n", goes_on=b"X: y\r\n"),
        lambda: Stranger(ENDLESS, goes_on=b"1\r\nx\r\n"),
    ],
    ids=["silent", "half a head", "dribbling"],
)
def test_a_host_has_so_long_for_all_of_it(
    authority: Authority, stranger: Callable[[], Stranger]
) -> None:
    heard = run(asked(stranger(), authority, seconds=0.3))

    assert isinstance(heard, Unreached)


def test_a_host_must_prove_its_name(authority: Authority) -> None:
    for context in (
        authority.context("mta-sts.elsewhere.test"),
        authority.context("there.test", "*.test"),
        authority.context(HOST, is_expired=True),
    ):
        stranger = Stranger(answer())

        heard = run(asked(stranger, authority, context=context))

        assert isinstance(heard, Unreached)
        assert heard.is_certificate
        assert stranger.heard == []


def test_an_authority_that_nobody_knows_proves_nothing(authority: Authority) -> None:
    heard = run(asked(Stranger(answer()), authority, trusts=False))

    assert isinstance(heard, Unreached)
    assert heard.is_certificate


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_an_old_tls_is_not_enough(authority: Authority) -> None:
    context = authority.context(HOST)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")

    heard = run(asked(Stranger(answer()), authority, context=context))

    assert isinstance(heard, Unreached)


def test_where_a_host_may_not_be_connected_to_nobody_connects(authority: Authority) -> None:
    async def scene() -> bytes | Unreached:
        async def nowhere(host: str) -> list[str]:
            raise OSError(f"{host} has the loopback address 127.0.0.1")

        client = HttpsClient(resolve=nowhere, agent="mta", ca_file=authority.ca_file)
        return await client.text(HOST, PATH, limit=LIMIT)

    heard = run(scene())

    assert isinstance(heard, Unreached)
    assert "has the loopback address" in heard.text


@pytest.mark.parametrize(
    ("says", "is_taken"),
    [
        (answer(b"", status="201 Created"), True),
        (answer(b"thanks"), True),
        (answer(b"", "Location: /elsewhere", status="307 Temporary"), False),
        (answer(b"", status="500 Oops"), False),
        (b"", False),
    ],
)
def test_a_report_is_posted(authority: Authority, says: bytes, *, is_taken: bool) -> None:
    stranger = Stranger(says)

    async def scene() -> Unreached | None:
        async with stranger.serving(authority.context(HOST)):
            client = HttpsClient(resolve=loopback, agent="mta", ca_file=authority.ca_file)
            url = f"https://{HOST}:{stranger.port}/reports?to=a"
            return await client.post(url, b"\x1f\x8breport", "application/tlsrpt+gzip")

    heard = run(scene())

    assert (heard is None) is is_taken
    (request,) = stranger.heard
    assert request.startswith(b"POST /reports?to=a HTTP/1.1\r\n")
    assert b"Content-Type: application/tlsrpt+gzip\r\n" in request
    assert request.endswith(b"\r\n\r\n\x1f\x8breport")


def test_a_trust_store_that_is_not_there_is_told_of() -> None:
    client = HttpsClient(resolve=loopback, agent="mta", ca_file=Path("/nowhere"))

    with pytest.raises(OSError, match="No such file"):
        run(client.text(HOST, PATH, limit=LIMIT))
