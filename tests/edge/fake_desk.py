"""A desk that takes orders, a user with a token, and a client that speaks HTTP to a real server."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any

from mta.model.envelope import MessageId
from mta.model.order import Order, Receipt, Taking
from mta.model.outcome import Reply
from mta.model.trace import Trace
from mta.model.trouble import LedgerError
from mta.model.user import LoginRefused, Refusal, User

from mta.edge.api import ApiLimits, ApiServer
from mta.edge.api.service import Api, Desk, Gate
from mta.edge.idn import to_ascii

PATIENCE = 10.0  # seconds for one wait
TOKEN = "t0ken"
NOW = 1_893_450_000.0  # shortly before 2030
MESSAGE = {"from": "ann@here.test", "to": ["bob@there.test"], "subject": "Hello", "text": "Hi"}


@dataclass
class FakeDesk:
    """Takes everything but what its local parts say otherwise of."""

    orders: list[Order] = field(default_factory=list)
    traces: dict[tuple[str, str], Trace] = field(default_factory=dict)
    closed_because: str | None = None
    queue_length: int = 0
    knocked: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event | None = None  # orders wait for it

    async def submit(self, order: Order) -> Receipt:
        self.knocked.set()
        if self.gate is not None:
            await self.gate.wait()
        reply = _REPLIES.get(order.submission.recipients[0].local)
        if reply is not None:
            return Receipt(Taking.REFUSED, reply, retry_after=7)
        if order.key == "conflict":
            return Receipt(Taking.CONFLICT, Reply(554, "The key came with another message", 6, 0))
        self.orders.append(order)
        id = MessageId(f"m{len(self.orders)}")
        taking = Taking.REPEATED if order.key == "repeat" else Taking.TAKEN
        return Receipt(taking, Reply(250, "Queued"), id, f"<{id}@mail.test>")

    async def trace(self, id: MessageId, user: str) -> Trace | None:
        if id == "broken":
            raise LedgerError("the disk is on fire")
        return self.traces.get((id, user))

    def objection(self) -> str | None:
        return self.closed_because


_REPLIES = {
    "notours": Reply(550, "Not one of your senders", 7, 1),
    "full": Reply(452, "The disk is full", 3, 1),
    "toomany": Reply(450, "Too many messages", 7, 1),
    "odd": Reply(554, "Mail loop", 4, 6),
}


class FakeGate:
    """Knows one user, by one token."""

    async def user_by_token(self, token: str, address: str) -> User | LoginRefused:
        match token:
            case "t0ken":
                return User("ann")
            case "locked":
                return LoginRefused(Refusal.LOCKED, 12.0)
            case "busy":
                return LoginRefused(Refusal.BUSY)
        return LoginRefused(Refusal.WRONG)


@dataclass
class Heard:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """Speaks HTTP to a server, and raw octets where HTTP's manners are in the way."""

    def __init__(self, host: str, port: int) -> None:
        self.place = (host, port)

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = TOKEN,
        **headers: str,
    ) -> Heard:
        """One request; a body that is not octets goes as JSON. `Content_Type` is Content-Type."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            named.setdefault("Authorization", f"Bearer {token}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            named.setdefault("Content-Type", "application/json")
        return await asyncio.to_thread(self._ask, method, path, body, named)

    def _ask(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Heard:
        connection = HTTPConnection(*self.place, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Heard(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection."""
        async with asyncio.timeout(PATIENCE):
            return await asyncio.open_connection(*self.place)


@asynccontextmanager
async def answering(
    desk: Desk,
    *,
    gate: Callable[[], Gate | None] = FakeGate,
    limits: ApiLimits | None = None,
    tls: Callable[[], ssl.SSLContext | None] = lambda: None,
) -> AsyncIterator[Caller]:
    """A real server on loopback before this desk."""
    chosen = limits or ApiLimits()

    def load() -> Any:
        return Api(
            desk=desk,
            gate=gate,
            hostname="mail.test",
            to_ascii=to_ascii,
            limits=lambda: chosen,
            clock=lambda: NOW,
        ).respond

    server = ApiServer("127.0.0.1", 0, load=load, limits=lambda: chosen, tls=tls)
    await server.start()
    try:
        yield Caller(*server.addresses[0])
    finally:
        async with asyncio.timeout(PATIENCE):
            await server.drain(1)
