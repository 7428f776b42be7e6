"""The HTTP door under attack: strangers, browsers sent by others, bombs, clients that dawdle."""

import asyncio
import json
import logging
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.edge.api import ApiLimits, ApiServer
from mta.edge.api.calls import Answer, Call
from mta.edge.api.forms import MessageForm
from mta.edge.api.problems import Problem
from mta.edge.api.reading import MAX_STRUCTURE, read_json, read_message
from mta.edge.api.service import Api
from mta.edge.idn import to_ascii

from tests.edge.fake_desk import MESSAGE, NOW, PATIENCE, FakeDesk, FakeGate, answering
from tests.edge.fake_door import LOOPS, run, self_signed, trusting_anybody

HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer t0ken\r\n"


async def everything(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(PATIENCE):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Basic YTpi", 401),
        ("Bearer wrong", 401),
        ("Bearer locked", 429),
        ("Bearer busy", 503),
        ("bearer t0ken", 202),
    ],
)
def test_without_a_token_there_is_no_mail(authorization: str | None, status: int) -> None:
    async def scene() -> None:
        desk = FakeDesk()
        headers = {"Authorization": authorization} if authorization else {}
        async with answering(desk) as caller:
            heard = await caller.ask("POST", "/v1/messages", MESSAGE, token=None, **headers)

        assert heard.status == status
        assert len(desk.orders) == (status == 202)
        if status == 401:
            assert heard.headers["WWW-Authenticate"] == 'Bearer realm="mta"'
            assert "mta user token add" in heard.json["detail"]

    run(scene())


def test_without_users_nobody_comes_in() -> None:
    async def scene() -> None:
        async with answering(FakeDesk(), gate=lambda: None) as caller:
            heard = await caller.ask("POST", "/v1/messages", MESSAGE)

        assert heard.status == 401

    run(scene())


@pytest.mark.parametrize(
    "host",
    ["evil.test", "localhost.evil.test", "127.0.0.1.evil.test:80", "", "[evil]", "a@localhost"],
)
def test_a_name_bound_to_our_address_by_others_is_refused(host: str) -> None:
    async def scene() -> None:
        async with answering(FakeDesk()) as caller:
            heard = await caller.ask("GET", "/healthz", Host=host)

        assert heard.status == 421

    run(scene())


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8026", "127.0.0.1", "[::1]:8026", "mail.test", "mail.test.:1"]
)
def test_our_own_names_are_taken(host: str) -> None:
    async def scene() -> None:
        async with answering(FakeDesk()) as caller:
            heard = await caller.ask("GET", "/healthz", Host=host)

        assert heard.status == 200

    run(scene())


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "a/json"]
)
def test_what_a_form_in_a_web_page_can_send_is_refused(kind: str) -> None:
    async def scene() -> None:
        desk = FakeDesk()
        async with answering(desk) as caller:
            body = json.dumps(MESSAGE).encode()
            heard = await caller.ask("POST", "/v1/messages", body, Content_Type=kind)

        assert heard.status == 415
        assert desk.orders == []

    run(scene())


def test_a_compressed_body_is_refused_unread() -> None:
    async def scene() -> None:
        async with answering(FakeDesk()) as caller:
            heard = await caller.ask(
                "POST",
                "/v1/messages",
                b"x",
                Content_Type="application/json",
                Content_Encoding="gzip",
            )

        assert heard.status == 415

    run(scene())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'"\\ud800"',
        b"\xff\xfe",
        b"NaN",
        b"[" + b"{}," * MAX_STRUCTURE + b"{}]",
        b'{"from":"a@b.test"} x',
    ],
    ids=range(9),
)
def test_what_is_no_json_or_a_bomb_is_refused(body: bytes) -> None:
    async def scene() -> None:
        async with answering(FakeDesk()) as caller:
            heard = await caller.ask("POST", "/v1/messages", body, Content_Type="application/json")

        assert heard.status in (400, 413)

    run(scene())


def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    async def scene() -> None:
        async with answering(FakeDesk(), limits=ApiLimits(message_size=1000)) as caller:
            reader, writer = await caller.raw()
            writer.write(
                HEAD + b"Content-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"
            )
            async with asyncio.timeout(PATIENCE):
                first = await reader.readline()
            writer.close()

        assert b" 413 " in first

    run(scene())


def test_a_body_that_says_nothing_of_its_size_is_cut_off() -> None:
    async def scene() -> None:
        async with answering(FakeDesk(), limits=ApiLimits(message_size=1000)) as caller:
            reader, writer = await caller.raw()
            writer.write(
                HEAD + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            for _ in range(20):
                writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            async with asyncio.timeout(PATIENCE):
                first = await reader.readline()
            writer.close()

        assert b" 413 " in first

    run(scene())


def test_bodies_together_have_a_limit() -> None:
    async def scene() -> None:
        limits = ApiLimits(buffer_bytes=100)
        async with answering(FakeDesk(), limits=limits) as caller:
            heard = await caller.ask("POST", "/v1/messages", {**MESSAGE, "text": "x" * 100})
            small = {"from": "a@b.test", "to": "c@d.test", "text": ""}
            after = await caller.ask("POST", "/v1/messages", small)

        assert (heard.status, heard.headers["Retry-After"]) == (503, "5")
        assert after.status == 202  # what was held was let go

    run(scene())


def test_a_client_that_waits_for_leave_to_send_is_given_it_after_its_token_was_seen() -> None:
    async def scene() -> None:
        async with answering(FakeDesk()) as caller:
            body = json.dumps(MESSAGE).encode()
            reader, writer = await caller.raw()
            writer.write(HEAD + b"Content-Type: application/json\r\nExpect: 100-continue\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n" % len(body))
            async with asyncio.timeout(PATIENCE):
                leave = await reader.readline()
                await reader.readline()
                writer.write(body)
                answer = await reader.readline()
            stranger, hand = await caller.raw()
            hand.write(b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n")
            hand.write(b"Expect: 100-continue\r\n\r\n")
            async with asyncio.timeout(PATIENCE):
                refusal = await stranger.readline()
            writer.close()
            hand.close()

        assert (leave[:12], answer[:12]) == (b"HTTP/1.1 100", b"HTTP/1.1 202")
        assert refusal[:12] == b"HTTP/1.1 401"

    run(scene())


@pytest.mark.parametrize(
    "said",
    [b"", b"GET /heal", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: "],
    ids=["nothing", "half a line", "half a header"],
)
def test_a_client_that_dawdles_is_shut_out(said: bytes) -> None:
    async def scene() -> None:
        async with answering(FakeDesk(), limits=ApiLimits(idle_seconds=0.2)) as caller:
            reader, writer = await caller.raw()
            writer.write(said)
            left = await everything(reader)
            writer.close()

        assert left == b""

    run(scene())


def test_a_body_that_trickles_is_cut_off() -> None:
    async def scene() -> None:
        async with answering(FakeDesk(), limits=ApiLimits(body_seconds=0.2)) as caller:
            reader, writer = await caller.raw()
            writer.write(HEAD + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
            async with asyncio.timeout(PATIENCE):
                first = await reader.readline()
            writer.close()

        assert b" 408 " in first

    run(scene())


def test_a_connection_too_many_is_closed_at_once() -> None:
    async def scene() -> None:
        async with answering(FakeDesk(), limits=ApiLimits(connections=2)) as caller:
            assert (await caller.ask("GET", "/healthz")).status == 200
            held = [await caller.raw() for _ in range(2)]
            for reader, writer in held:  # both are inside
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                async with asyncio.timeout(PATIENCE):
                    assert b" 200 " in await reader.readline()
            reader, writer = await caller.raw()
            left = await everything(reader)
            for _, each in [*held, (reader, writer)]:
                each.close()

        assert left == b""

    run(scene())


@pytest.mark.parametrize(
    "octets",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",  # TLS
        b"EHLO client.test\r\nMAIL FROM:<a@b.test>\r\n\r\n",
        b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 10_000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
        b"Content-Length: 2\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["tls", "smtp", "line", "field", "fields", "two framings", "two lengths", "less", "chunk"],
)
def test_what_is_no_http_is_refused_and_not_logged(
    octets: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with answering(FakeDesk(), limits=ApiLimits(idle_seconds=0.5)) as caller:
            reader, writer = await caller.raw()
            writer.write(octets)
            left = await everything(reader)
            writer.close()
            after = await caller.ask("GET", "/healthz")

        assert left == b"" or left.startswith((b"HTTP/1.1 40", b"HTTP/1.0 40"))
        assert after.status == 200
        assert [record for record in caplog.records if record.levelno > logging.INFO] == []

    run(scene())


def test_an_address_that_is_taken_is_served_once_it_is_free() -> None:
    async def scene() -> None:
        taken = socket.create_server(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        server = ApiServer(
            "127.0.0.1", port, load=lambda: nobody, limits=ApiLimits, retry_seconds=0.05
        )
        await server.start()
        before = server.addresses
        taken.close()
        async with asyncio.timeout(PATIENCE):
            await server.listens.wait()
        assert before == ()
        await server.drain(1)

    run(scene())


async def nobody(call: Call) -> Answer:
    raise Problem(404, call.path)


def test_a_token_in_clear_from_another_machine_is_not_even_looked_at() -> None:
    async def nothing() -> bytes:
        return b"{}"

    def call(*, is_private: bool) -> Call:
        return Call(
            method="GET",
            path="/v1/messages/m1",
            query=(),
            headers={"host": "mail.test", "authorization": "Bearer t0ken"},
            client="192.0.2.1",
            is_private=is_private,
            is_tls=is_private,
            read=nothing,
        )

    async def status(*, is_private: bool, allows_plain: bool) -> int:
        api = Api(
            desk=FakeDesk(),
            gate=FakeGate,
            hostname="mail.test",
            to_ascii=to_ascii,
            limits=ApiLimits,
            clock=lambda: NOW,
            allows_plain=allows_plain,
        )
        with pytest.raises(Problem) as caught:
            await api.respond(call(is_private=is_private))
        return caught.value.status

    assert run(status(is_private=False, allows_plain=False)) == 403
    assert run(status(is_private=False, allows_plain=True)) == 404
    assert run(status(is_private=True, allows_plain=False)) == 404


@pytest.mark.parametrize("loop", LOOPS)
def test_a_certificate_that_is_replaced_is_used_from_the_next_handshake_on(
    tmp_path: Path, loop: str
) -> None:
    certificates = [self_signed(tmp_path / name) for name in ("first", "second")]
    in_force = certificates[:1]

    async def seen(server: ApiServer) -> bytes:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(
                *server.addresses[0], ssl=trusting_anybody()
            )
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 404 " in await reader.readline()
        certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return certificate

    async def scene() -> None:
        server = ApiServer(
            "127.0.0.1",
            0,
            load=lambda: nobody,
            limits=ApiLimits,
            tls=lambda: in_force[-1],
        )
        await server.start()
        first = await seen(server)
        in_force.append(certificates[1])
        second = await seen(server)
        await server.drain(1)

        assert first != second

    run(scene(), loop)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
KEYS = st.sampled_from([*MessageForm.model_fields, "from", "other"])


@settings(max_examples=300)
@given(st.dictionaries(KEYS, ANYTHING) | ANYTHING)
def test_whatever_json_comes_is_a_message_or_a_problem(raw: object) -> None:
    found = problem_of(lambda: read_message(raw, to_ascii))

    assert found is None or (found.status == 422 and found.answer().body)


@given(st.binary(max_size=200))
def test_whatever_octets_come_are_json_or_a_problem(body: bytes) -> None:
    found = problem_of(lambda: read_json(body))

    assert found is None or found.answer().status == 400


def problem_of(act: Callable[[], object]) -> Problem | None:
    try:
        act()
    except Problem as problem:
        return problem
    return None
