"""What the HTTP door answers: who asks, what for, and whether that may be had."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Protocol

from mta.model.envelope import Client, MessageId
from mta.model.order import Order, Receipt
from mta.model.trace import Trace
from mta.model.trouble import LedgerError
from mta.model.user import LoginRefused, Refusal, User

from mta.edge.api.calls import Answer, ApiLimits, Call
from mta.edge.api.openapi import document
from mta.edge.api.orders import Reader
from mta.edge.api.problems import Problem, as_json
from mta.edge.api.receipts import answer_to, as_problem, shown_receipt, shown_trace

_log = logging.getLogger(__name__)

_MESSAGE = re.compile(r"/v1/messages/(?!batch$)[0-9a-z]{1,64}")
_CURE = "make one with: mta user token add NAME"


class Desk(Protocol):
    """Who takes orders."""

    async def submit(self, order: Order) -> Receipt:
        """Take a message, or say why not. Never raises for anything that the client does."""

    async def trace(self, id: MessageId, user: str) -> Trace | None:
        """What became of a message of this user's, None where there is none; or LedgerError."""

    def objection(self) -> str | None:
        """Why no message can be taken now, in words; None if one can."""

    @property
    def queue_length(self) -> int:
        """How many messages wait."""


class Gate(Protocol):
    """Who knows the users."""

    async def user_by_token(self, token: str, address: str) -> User | LoginRefused:
        """The user whose token this is."""


Handler = Callable[[Call], Awaitable[Answer]]


class Api:
    """Answers calls."""

    def __init__(
        self,
        *,
        desk: Desk,
        gate: Callable[[], Gate | None],
        hostname: str,
        to_ascii: Callable[[str], str],
        limits: Callable[[], ApiLimits],
        clock: Callable[[], float],
        allows_plain: bool = False,
    ) -> None:
        """`gate` gives the one in force, or None where there are no users.

        `allows_plain`: tokens may cross a network in clear.
        """
        self._desk = desk
        self._gate = gate
        self._hostname = hostname
        self._allows_plain = allows_plain
        self._reader = Reader(to_ascii, limits, clock)
        self._document = as_json(document())
        self._routes: Mapping[str, Mapping[str, Handler]] = {
            "/healthz": {"GET": self._health},
            "/v1/openapi.json": {"GET": self._openapi},
            "/v1/messages": {"POST": self._post_message},
            "/v1/messages/batch": {"POST": self._post_batch},
        }
        self._of_message: Mapping[str, Handler] = {"GET": self._get_message}

    async def respond(self, call: Call) -> Answer:
        """The answer to a call. Raises Problem."""
        self._check_host(call.headers.get("host", ""))
        is_message = _MESSAGE.fullmatch(call.path) is not None
        handlers = self._of_message if is_message else self._routes.get(call.path)
        if handlers is None:
            raise Problem(404, "Nothing is here; see /v1/openapi.json")
        handler = handlers.get(call.method)
        if handler is None:
            allowed = ", ".join(handlers)
            raise Problem(405, f"Expected {allowed}", headers={"Allow": allowed})
        return await handler(call)

    def _check_host(self, host: str) -> None:
        """Refuse a name that is not ours: a web page may have bound it to our address.

        An IP address cannot be bound to another one.
        """
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        name = name.removeprefix("[").removesuffix("]").removesuffix(".").lower()
        if name in ("localhost", self._hostname):
            return
        try:
            ip_address(name)
        except ValueError:
            raise Problem(
                421, f"Expected {self._hostname}, localhost or an IP address in the field Host"
            ) from None

    async def _health(self, call: Call) -> Answer:
        del call
        objection = self._desk.objection()
        shown = {"status": objection or "ok", "queue": self._desk.queue_length}
        return Answer(503 if objection else 200, as_json(shown))

    async def _openapi(self, call: Call) -> Answer:
        del call
        return Answer(200, self._document)

    async def _post_message(self, call: Call) -> Answer:
        client = await self._client(call)
        self._check_open()
        order = await self._reader.order(call, client)
        return answer_to(await self._desk.submit(order))

    async def _post_batch(self, call: Call) -> Answer:
        client = await self._client(call)
        self._check_open()
        orders = await self._reader.batch(call, client)
        results = await asyncio.gather(*(self._one_of_batch(order) for order in orders))
        return Answer(200, as_json({"results": results}))

    async def _get_message(self, call: Call) -> Answer:
        client = await self._client(call)
        id = MessageId(call.path.rpartition("/")[2])
        try:
            trace = await self._desk.trace(id, client.user)
        except LedgerError as error:
            _log.error("%s: what became of it cannot be read: %s", id, error)
            raise Problem(503, "This cannot be read now; try again later", retry_after=5) from None
        if trace is None:
            raise Problem(404, "No such message, or not one of yours")
        return Answer(200, as_json(shown_trace(trace)))

    async def _one_of_batch(self, order: Order | Problem) -> dict[str, object]:
        if isinstance(order, Problem):
            return {"status": order.status, "problem": order.shown()}
        receipt = await self._desk.submit(order)
        problem = as_problem(receipt)
        if problem is not None:
            return {"status": problem.status, "problem": problem.shown()}
        return {"status": 202, "message": shown_receipt(receipt)}

    async def _client(self, call: Call) -> Client:
        """Who asks. Raises Problem where that is not shown."""
        if not (call.is_private or self._allows_plain):
            raise Problem(403, "Expected TLS: a token would cross the network in clear")
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _unauthorised(f"Expected a token (Authorization: Bearer ...); {_CURE}")
        gate = self._gate()
        if gate is None:
            raise _unauthorised(f"Nobody has a token here; {_CURE}")
        user = await gate.user_by_token(token.strip(), call.client)
        if isinstance(user, LoginRefused):
            raise _refusal(user)
        return Client(call.client, "", "HTTPS" if call.is_tls else "HTTP", user=user.name)

    def _check_open(self) -> None:
        """Refuse before the body is here what could not be kept."""
        objection = self._desk.objection()
        if objection is not None:
            raise Problem(503, objection, retry_after=30)


def _unauthorised(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="mta"'})


def _refusal(refused: LoginRefused) -> Problem:
    wait = max(refused.retry_after, 1.0)
    match refused.why:
        case Refusal.LOCKED:
            return Problem(429, "Too many failures; try again later", retry_after=wait)
        case Refusal.BUSY:
            return Problem(503, "Too many log in now; try again later", retry_after=wait)
        case _:
            return _unauthorised(f"Unknown token; {_CURE}")
