"""Asks strangers by HTTPS: fetches the policies of domains, posts reports (RFC 8461, RFC 8460).

The name of the peer is a stranger's word, and so is all that it says: it is connected to only at
addresses that somebody else judged, must prove its name, is not followed elsewhere, and is heard
for so long and so much. Imported when it is first needed: the library takes 11 MB.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from mta.model.policy import Unreached
from mta.model.text import printable_ascii

_log = logging.getLogger(__name__)

PORT = 443
_MAX_FIELD = 8 * 1024  # octets of a line of the answer's header
_MAX_FIELDS = 64
_MAX_TEXT = 300  # characters of an explanation
_PIECE = 16 * 1024

# Gives the addresses of a host that may be connected to; raises OSError where there are none.
Resolve = Callable[[str], Awaitable[Sequence[str]]]


class HttpsClient:
    """Makes one connection for each question. Never raises for anything that a peer does.

    `seconds` bounds a question as a whole. `port` is where the hosts of policies listen.
    Certificates are checked against the system's trust store, or against the authorities in
    `ca_file` alone; where that cannot be read, asking raises OSError.
    """

    def __init__(
        self,
        *,
        resolve: Resolve,
        agent: str,
        port: int = PORT,
        seconds: float = 60.0,
        ca_file: Path | None = None,
    ) -> None:
        self._resolver = _Resolver(resolve)
        self._agent = agent
        self._port = port
        self._seconds = seconds
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None

    async def text(self, host: str, path: str, *, limit: int) -> bytes | Unreached:
        """What a host has as text/plain at a path, of at most `limit` octets (RFC 8461 §3.3)."""
        where = host if self._port == PORT else f"{host}:{self._port}"
        return await self._ask("GET", f"https://{where}{path}", limit=limit)

    async def post(self, url: str, content: bytes, content_type: str) -> Unreached | None:
        """Hand content to a URL of a host with a name; None when it was taken (2xx)."""
        heard = await self._ask(
            "POST", url, limit=0, content=content, fields={"Content-Type": content_type}
        )
        return heard if isinstance(heard, Unreached) else None

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        limit: int,
        content: bytes | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> bytes | Unreached:
        context = await self._tls()
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._session(context) as session,
                session.request(
                    method, url, data=content, headers=fields, allow_redirects=False
                ) as response,
            ):
                if method == "GET":
                    return await _text_in(response, limit)
                return b"" if 200 <= response.status < 300 else _refused(response)
        except TimeoutError:
            return Unreached(f"no answer within {self._seconds:g} s")
        except aiohttp.ClientConnectorCertificateError as error:
            return Unreached(_said(error.certificate_error), is_certificate=True)
        except aiohttp.ClientConnectorError as error:
            return Unreached(_said(error.os_error))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Unreached(_said(error))
        except Exception as error:  # noqa: BLE001 - whatever octets do to the library, mail goes on
            _log.exception("an answer from %s is not understood", printable_ascii(url[:_MAX_TEXT]))
            return Unreached(_said(error))

    async def _tls(self) -> ssl.SSLContext:
        if self._context is None:  # reading a trust store takes tens of milliseconds
            self._context = await asyncio.to_thread(
                ssl.create_default_context, cafile=self._ca_file
            )
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        return self._context

    def _session(self, context: ssl.SSLContext) -> aiohttp.ClientSession:
        """A session for one question, without cookies, proxies and decompression (bombs)."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=context, resolver=self._resolver, use_dns_cache=False, force_close=True
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self._agent, "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=self._seconds),
            auto_decompress=False,
            max_line_size=_MAX_FIELD,
            max_field_size=_MAX_FIELD,
            max_headers=_MAX_FIELDS,
        )


async def _text_in(response: aiohttp.ClientResponse, limit: int) -> bytes | Unreached:
    if response.status != 200:
        return _refused(response)
    if response.content_type != "text/plain":
        return Unreached(f"expected text/plain, got {printable_ascii(response.content_type[:80])}")
    if "Content-Encoding" in response.headers:
        return Unreached("expected text as it is, got a Content-Encoding")
    octets = b""
    async for piece in response.content.iter_chunked(_PIECE):
        octets += piece
        if len(octets) > limit:
            return Unreached(f"expected at most {limit} octets, got more")
    return octets


def _refused(response: aiohttp.ClientResponse) -> Unreached:
    return Unreached(f"expected status 200, got {response.status}")


def _said(error: BaseException) -> str:
    return printable_ascii(str(error) or type(error).__name__)[:_MAX_TEXT]


class _Resolver(AbstractResolver):
    """Gives the library the addresses that may be connected to, and no others."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._resolve(host)
        ]

    async def close(self) -> None:
        """Nothing to let go of."""
