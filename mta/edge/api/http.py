"""HTTP by aiohttp: requests turned into calls, answers into responses, and everything bounded.

Imported when the first client comes: the library takes 9 MB.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address

from aiohttp import HttpVersion11, web
from aiohttp.http import HttpProcessingError

from mta.edge.api.calls import Answer, ApiLimits, Call, Respond
from mta.edge.api.problems import Problem

_ACCEPT_PAUSE_SECONDS = 1.0
_LINGER_SECONDS = 5.0  # that we listen on after an answer to half a request
_HANDSHAKE_SECONDS = 10.0
_MAX_FIELD = 8 * 1024  # octets of one header field, or of the request's first line
_MAX_FIELDS = 64
# Where the library speaks of what goes wrong, but not of what clients do wrong: they could fill it.
_log = logging.getLogger(__name__)
_log.addFilter(
    lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
)

_SAFETY = {"Server": "mta", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class HttpServer:
    """Serves sockets that listen already."""

    def __init__(self, respond: Respond, limits: Callable[[], ApiLimits]) -> None:
        self._respond = respond
        self._limits = limits
        self._held = 0  # octets of bodies that all requests hold
        self._accepting: list[asyncio.Task[None]] = []
        self._knocking: set[asyncio.Task[None]] = set()  # of connections that are not served yet
        self._unclaimed: set[socket.socket] = set()  # those whose task has not begun
        self._web = web.Server(
            self._handle,
            logger=_log,
            access_log=None,
            keepalive_timeout=limits().idle_seconds,
            lingering_time=_LINGER_SECONDS,
            auto_decompress=False,  # a bomb's fuse
            max_line_size=_MAX_FIELD,
            max_field_size=_MAX_FIELD,
            max_headers=_MAX_FIELDS,
        )

    def serve(
        self, sockets: Sequence[socket.socket], tls: Callable[[], ssl.SSLContext | None]
    ) -> None:
        """Take clients in, those that wait already among them; `tls` gives what is in force."""
        for opened in sockets:
            accepting = asyncio.create_task(self._accept(opened, tls), name="HTTP door")
            self._accepting.append(accepting)

    async def drain(self, limit_seconds: float) -> None:
        """Let nobody in, and let requests under way end."""
        outside = [*self._accepting, *self._knocking]
        for task in outside:
            task.cancel()
        await asyncio.gather(*outside, return_exceptions=True)
        for connection in self._unclaimed:
            connection.close()
        self._web.pre_shutdown()
        await self._web.shutdown(limit_seconds)

    async def _accept(
        self, opened: socket.socket, tls: Callable[[], ssl.SSLContext | None]
    ) -> None:
        """Take connections until cancelled; one too many is closed at once.

        An asyncio server would shake hands before we hear of a client, and count none of those
        who leave it at that.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(opened)
            except OSError as error:  # most often, no more descriptors are left
                _log.warning("HTTP: cannot accept: %s", error)
                await asyncio.sleep(_ACCEPT_PAUSE_SECONDS)
                continue
            if len(self._web.connections) + len(self._knocking) >= self._limits().connections:
                connection.close()
            else:
                self._unclaimed.add(connection)
                knocking = loop.create_task(self._let_in(connection, tls()), name="HTTP handshake")
                self._knocking.add(knocking)
                knocking.add_done_callback(self._knocking.discard)
            await asyncio.sleep(0)  # where many come at once, all else goes on between them

    async def _let_in(self, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
        self._unclaimed.discard(connection)
        with suppress(OSError):  # it went, or its TLS failed: nothing is owed to it
            await asyncio.get_running_loop().connect_accepted_socket(
                self._web,
                connection,
                ssl=tls,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS if tls else None,
            )

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        holding = _Body(self, request, self._limits())
        try:
            answer = await self._respond(_call(request, holding))
        except Problem as problem:
            answer = problem.answer()
        finally:
            holding.release()
        return await self._send(request, answer)

    async def _send(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        response = web.Response(
            status=answer.status,
            body=answer.body,
            content_type=answer.content_type,
            headers={**_SAFETY, **answer.headers},
        )
        try:
            async with asyncio.timeout(self._limits().answer_seconds):
                await response.prepare(request)
                await response.write_eof()
        except TimeoutError:  # a client that does not take its answer
            if request.transport is not None:
                request.transport.abort()
        return response

    def hold(self, octets: int) -> None:
        """Count octets of a body. Raises Problem where all bodies together become too much."""
        if self._held + octets > self._limits().buffer_bytes:
            raise Problem(503, "Too much is arriving now; try again later", retry_after=5)
        self._held += octets

    def let_go(self, octets: int) -> None:
        """Count them no more."""
        self._held -= octets


class _Body:
    """The body of one request, which is read once, within bounds."""

    def __init__(self, server: HttpServer, request: web.BaseRequest, limits: ApiLimits) -> None:
        self._server = server
        self._request = request
        self._limits = limits
        self._held = 0

    async def read(self) -> bytes:
        """All of it. Raises Problem."""
        request, limit = self._request, self._limits.body_size
        if (request.content_length or 0) > limit:
            raise Problem(413, f"Expected a body of at most {limit} octets")
        if request.headers.get("Expect", "").lower() == "100-continue":
            await self._go_on()
        pieces = []
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while piece := await request.content.readany():
                    self._hold(len(piece), limit)
                    pieces.append(piece)
        except TimeoutError:
            raise Problem(408, "The body took too long", headers={"Connection": "close"}) from None
        except web.RequestPayloadError as error:
            raise Problem(400, "Expected a body as its header says") from error
        return b"".join(pieces)

    def release(self) -> None:
        """It is needed no more."""
        self._server.let_go(self._held)
        self._held = 0

    def _hold(self, octets: int, limit: int) -> None:
        if self._held + octets > limit:
            raise Problem(413, f"Expected a body of at most {limit} octets")
        self._server.hold(octets)
        self._held += octets

    async def _go_on(self) -> None:
        if self._request.version >= HttpVersion11 and self._request.transport is not None:
            self._request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _call(request: web.BaseRequest, body: _Body) -> Call:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers.setdefault(name.lower(), value)
    client = str(request.remote or "").partition("%")[0]
    is_tls = request.transport is not None and (
        request.transport.get_extra_info("ssl_object") is not None
    )
    return Call(
        method=request.method,
        path=request.rel_url.raw_path,
        query=tuple(request.rel_url.query.items()),
        headers=headers,
        client=client,
        is_private=is_tls or _is_loopback(client),
        is_tls=is_tls,
        read=body.read,
    )


def _is_loopback(client: str) -> bool:
    return bool(client) and ip_address(client).is_loopback
