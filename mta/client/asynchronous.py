"""The client for asyncio, by aiohttp."""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

import aiohttp

from mta.client import requests
from mta.client.messages import Fields, Message, Sent
from mta.client.requests import Request, Response
from mta.client.trouble import Refused, Unreachable


class AsyncClient:
    """As `Client`, in an event loop: `async with AsyncClient(url, token) as client`."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8026",
        token: str = "",
        *,
        timeout: float = 30.0,
        retries: int = 3,
        tls: ssl.SSLContext | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`timeout` is in seconds, for a request as a whole."""
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._timeout = aiohttp.ClientTimeout(timeout)
        self._retries = retries
        self._tls = tls
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections that are kept."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(
        self,
        *,
        from_: str,
        to: str | Sequence[str] = (),
        idempotency_key: str | None = None,
        **fields: Unpack[Fields],
    ) -> Sent:
        """Hand a message in. Raises MtaError."""
        request = requests.to_send(from_, to, idempotency_key, fields)
        return requests.sent_by(await self._ask(request))

    async def send_raw(
        self, content: bytes, *, from_: str, to: Sequence[str], idempotency_key: str | None = None
    ) -> Sent:
        """Hand a message in that is written already. Raises MtaError."""
        request = requests.to_send_raw(content, from_, to, idempotency_key)
        return requests.sent_by(await self._ask(request))

    async def send_batch(
        self, messages: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> list[Sent | Refused]:
        """Hand in several, each the arguments of `send`; gives what came of each, in order."""
        request = requests.to_send_batch(messages, idempotency_key)
        return requests.all_sent_by(await self._ask(request))

    async def get(self, id: str) -> Message:
        """Ask what became of a message. Raises MtaError."""
        return requests.message_in(await self._ask(requests.to_get(id)))

    async def _ask(self, request: Request) -> Response:
        retries = 0
        while True:
            heard = await self._heard(request)
            chance = random.random()  # noqa: S311 - jitter
            wait = requests.wait_before(retries, heard, chance) if retries < self._retries else None
            if wait is None:
                break
            await self._sleep(wait)
            retries += 1
        if isinstance(heard, Unreachable):
            raise heard
        return heard

    async def _heard(self, request: Request) -> Response | Unreachable:
        try:
            return await self._say(request)
        except (OSError, TimeoutError, aiohttp.ClientError) as error:
            return Unreachable(f"no answer from {self._url}: {error!r}")

    async def _say(self, request: Request) -> Response:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)
        async with self._session.request(
            request.method,
            self._url + request.path,
            data=request.body or None,
            headers=request.headers,
            ssl=True if self._tls is None else self._tls,
            allow_redirects=False,
        ) as response:
            named = {name.lower(): value for name, value in response.headers.items()}
            return Response(response.status, named, await response.read())
