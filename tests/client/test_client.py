"""Both clients against a real server: what they say, understand, and do when nobody answers."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from mta.model.address import Address
from mta.model.envelope import MessageId, State
from mta.model.outcome import Reply
from mta.model.trace import Entry, Fate, Trace

from mta.client import (
    AsyncClient,
    Attachment,
    Client,
    Conflict,
    InvalidMessage,
    MtaError,
    NotAllowed,
    NotFound,
    Refused,
    Sent,
    TooMany,
    Unavailable,
    Unreachable,
)
from tests.edge.fake_desk import TOKEN, Caller, FakeDesk, answering
from tests.edge.fake_door import run

LETTER: dict[str, Any] = {"from_": "ann@here.test", "to": "bob@there.test", "text": "Hi"}


class Both:
    """One of the two clients, called in one way; the waits before retries take no time."""

    def __init__(self, kind: str, caller: Caller, token: str = TOKEN) -> None:
        self.waits: list[float] = []
        url = "http://{}:{}".format(*caller.place)
        self._client: Client | AsyncClient = (
            Client(url, token, sleep=self.waits.append)
            if kind == "Client"
            else AsyncClient(url, token, sleep=self._wait)
        )

    async def __call__(self, name: str, *args: Any, **kwargs: Any) -> Any:
        method = getattr(self._client, name)
        if isinstance(self._client, AsyncClient):
            async with self._client:
                return await method(*args, **kwargs)
        return await asyncio.to_thread(method, *args, **kwargs)

    async def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)


Scene = Callable[[Both, FakeDesk], Awaitable[None]]
both = pytest.mark.parametrize("kind", ["Client", "AsyncClient"])


def play(kind: str, scene: Scene, desk: FakeDesk | None = None, token: str = TOKEN) -> None:
    async def played() -> None:
        there = desk or FakeDesk()
        async with answering(there) as caller:
            await scene(Both(kind, caller, token), there)

    run(played())


@both
def test_a_message_is_sent_with_all_its_parts(kind: str) -> None:
    async def scene(client: Both, desk: FakeDesk) -> None:
        sent = await client(
            "send",
            **LETTER,
            cc=["cay@there.test"],
            bcc="dan@there.test",
            subject="Grüße",
            html="<p>Hi",
            attachments=[Attachment("a.txt", b"abc", "text/plain")],
            headers={"X-A": "b"},
            send_at=datetime(2030, 1, 1, tzinfo=UTC),
            tags=["a"],
            metadata={"order": "7"},
            strict=True,
        )

        assert sent == Sent("m1", "<m1@mail.test>")
        order = desk.orders[0]
        assert [one.local for one in order.submission.recipients] == ["bob", "cay", "dan"]
        assert order.submission.request.hold_until == 1893456000
        assert order.is_strict
        assert order.key  # without being asked

    play(kind, scene)


@both
def test_a_message_that_is_written_already_is_sent_as_it_is(kind: str) -> None:
    async def scene(client: Both, desk: FakeDesk) -> None:
        content = b"From: ann@here.test\r\n\r\nHi\r\n"
        await client("send_raw", content, from_="a+b@here.test", to=["bob@there.test"])

        assert desk.orders[0].submission.content == content
        assert str(desk.orders[0].submission.sender) == "a+b@here.test"

    play(kind, scene)


@both
def test_a_batch_has_an_answer_for_each(kind: str) -> None:
    async def scene(client: Both, desk: FakeDesk) -> None:
        first, second = await client("send_batch", [LETTER, LETTER | {"to": "nobody"}])

        assert isinstance(first, Sent)
        assert isinstance(second, InvalidMessage)
        assert list(second.errors) == ["messages[1].to[0]"]

    play(kind, scene)


@both
def test_what_became_of_a_message_is_read(kind: str) -> None:
    fates = (
        Fate(Address("bob", "there.test"), State.FAILED, 2.0, 1, reply=Reply(550, "no", 1, 1)),
    )
    entry = Entry(MessageId("m1"), "ann", 1.0, "<m1@mail.test>")
    desk = FakeDesk(traces={(MessageId("m1"), "ann"): Trace(entry, fates, 3.0)})

    async def scene(client: Both, desk: FakeDesk) -> None:
        message = await client("get", "m1")

        assert message.settled_at == datetime.fromtimestamp(3, UTC)
        bob = message.recipients[0]
        assert (bob.state, bob.reply, bob.attempts) == ("failed", "550 5.1.1 no", 1)

    play(kind, scene, desk)


@both
@pytest.mark.parametrize(
    ("to", "key", "error", "waits"),
    [
        ("nobody", "a", InvalidMessage, []),
        ("notours@there.test", "a", NotAllowed, []),
        ("bob@there.test", "conflict", Conflict, []),
        ("toomany@there.test", "a", TooMany, [7, 7, 7]),
        ("full@there.test", "a", Unavailable, [7, 7, 7]),
    ],
)
def test_a_refusal_has_its_kind(
    kind: str, to: str, key: str, error: type[Refused], waits: list[int]
) -> None:
    async def scene(client: Both, desk: FakeDesk) -> None:
        with pytest.raises(error) as caught:
            await client("send", **LETTER | {"to": to}, idempotency_key=key)

        assert caught.value.detail
        assert all(
            least <= wait < 1.3 * least for wait, least in zip(client.waits, waits, strict=True)
        )

    play(kind, scene)


@both
def test_a_wrong_token_is_said(kind: str) -> None:
    async def scene(client: Both, desk: FakeDesk) -> None:
        with pytest.raises(NotAllowed, match="mta user token add"):
            await client("send", **LETTER)

    play(kind, scene, token="wrong")


@both
def test_a_message_of_nobody_s_is_not_found(kind: str) -> None:
    async def scene(client: Both, desk: FakeDesk) -> None:
        with pytest.raises(NotFound):
            await client("get", "m9")
        with pytest.raises(ValueError, match="an id"):
            await client("get", "../healthz")

    play(kind, scene)


@both
def test_a_repeat_is_told(kind: str) -> None:
    async def scene(client: Both, desk: FakeDesk) -> None:
        sent = await client("send", **LETTER, idempotency_key="repeat")

        assert sent.is_repeat

    play(kind, scene)


@both
def test_where_nobody_answers_the_same_key_is_tried_again(kind: str) -> None:
    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        client = Both(kind, Caller("127.0.0.1", port))
        with pytest.raises(Unreachable, match=str(port)):
            await client("send", **LETTER)

        assert len(client.waits) == 3
        assert client.waits == sorted(client.waits)

    run(scene())


@both
def test_an_answer_that_is_lost_is_asked_for_with_the_same_key(kind: str) -> None:
    heard: list[bytes] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heard.append(head.lower().partition(b"idempotency-key: ")[2].partition(b"\r\n")[0])
        writer.close()

    async def scene() -> None:
        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
            client = Both(kind, Caller(*server.sockets[0].getsockname()[:2]))
            with pytest.raises(Unreachable):
                await client("send", **LETTER)

        assert len(heard) == 4
        assert len(set(heard)) == 1
        assert len(heard[0]) == 32

    run(scene())


@pytest.mark.parametrize("url", ["", "here.test", "ftp://here.test", "http://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected a URL"):
        Client(url)


def test_all_that_goes_wrong_is_one_kind_of_error() -> None:
    assert issubclass(Refused, MtaError)
    assert issubclass(Unreachable, MtaError)
