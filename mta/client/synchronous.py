"""The client for programs that wait, by the standard library alone."""

import random
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Unpack
from urllib.parse import urlsplit

from mta.client import requests
from mta.client.messages import Fields, Message, Sent
from mta.client.requests import Request, Response
from mta.client.trouble import Refused, Unreachable


class Client:
    """Sends by the server at `url`; may be used by several threads at once.

    `timeout` is in seconds, for each step on the wire; `retries` is how often a request that had
    no answer, or was told to come again, is sent anew.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8026",
        token: str = "",
        *,
        timeout: float = 30.0,
        retries: int = 3,
        tls: ssl.SSLContext | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._place = urlsplit(url)
        if self._place.scheme not in ("http", "https") or not self._place.hostname:
            raise ValueError(f"expected a URL such as http://127.0.0.1:8026, got {url!r}")
        self._token = token
        self._timeout = timeout
        self._retries = retries
        self._tls = tls
        self._sleep = sleep

    def send(
        self,
        *,
        from_: str,
        to: str | Sequence[str] = (),
        idempotency_key: str | None = None,
        **fields: Unpack[Fields],
    ) -> Sent:
        """Hand a message in. Raises MtaError."""
        request = requests.to_send(from_, to, idempotency_key, fields)
        return requests.sent_by(self._ask(request))

    def send_raw(
        self, content: bytes, *, from_: str, to: Sequence[str], idempotency_key: str | None = None
    ) -> Sent:
        """Hand a message in that is written already. Raises MtaError."""
        request = requests.to_send_raw(content, from_, to, idempotency_key)
        return requests.sent_by(self._ask(request))

    def send_batch(
        self, messages: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> list[Sent | Refused]:
        """Hand in several, each the arguments of `send`; gives what came of each, in order."""
        return requests.all_sent_by(self._ask(requests.to_send_batch(messages, idempotency_key)))

    def get(self, id: str) -> Message:
        """Ask what became of a message. Raises MtaError."""
        return requests.message_in(self._ask(requests.to_get(id)))

    def _ask(self, request: Request) -> Response:
        retries = 0
        while True:
            heard = self._heard(request)
            chance = random.random()  # noqa: S311 - jitter
            wait = requests.wait_before(retries, heard, chance) if retries < self._retries else None
            if wait is None:
                break
            self._sleep(wait)
            retries += 1
        if isinstance(heard, Unreachable):
            raise heard
        return heard

    def _heard(self, request: Request) -> Response | Unreachable:
        try:
            return self._say(request)
        except (OSError, HTTPException) as error:
            return Unreachable(f"no answer from {self._place.geturl()}: {error!r}")

    def _say(self, request: Request) -> Response:
        connection = self._connection()
        try:
            headers = {**(request.headers or {}), "Authorization": f"Bearer {self._token}"}
            path = self._place.path.rstrip("/") + request.path
            connection.request(request.method, path, request.body or None, headers)
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Response(response.status, named, response.read())
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        host, port = self._place.hostname or "", self._place.port
        if self._place.scheme == "https":
            return HTTPSConnection(host, port, timeout=self._timeout, context=self._tls)
        return HTTPConnection(host, port, timeout=self._timeout)
