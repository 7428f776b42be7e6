"""The HTTP door's listener: its own sockets, and the library only once somebody comes."""

import asyncio
import errno
import logging
import os
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from mta.edge.api.calls import ApiLimits, Respond

if TYPE_CHECKING:
    from mta.edge.api.http import HttpServer

_log = logging.getLogger(__name__)

_BACKLOG = 128
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class ApiServer:
    """Listens, and lets the first client wait until the library is loaded.

    An address that cannot be had is tried again and again: nothing here stops the mail.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        load: Callable[[], Respond],
        limits: Callable[[], ApiLimits],
        tls: Callable[[], ssl.SSLContext | None] = lambda: None,
        retry_seconds: float = 10.0,
    ) -> None:
        """`load` makes what answers, once, in a thread, when the first client comes.

        `limits` and `tls` give what is in force.
        """
        self._place = (host, port)
        self._load = load
        self._limits = limits
        self._tls = tls
        self._retry_seconds = retry_seconds
        self._sockets: list[socket.socket] = []
        self._opening: asyncio.Task[None] | None = None
        self._server: HttpServer | None = None
        self.listens = asyncio.Event()
        self.addresses: tuple[tuple[str, int], ...] = ()

    async def start(self) -> None:
        """Listen, now or as soon as that can be done. `addresses` says where, once it does."""
        if not await self._listen():
            self._opening = asyncio.create_task(self._try_again(), name="HTTP door")

    async def drain(self, limit_seconds: float) -> None:
        """Let nobody in, and let requests under way end."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._server is not None:
            await self._server.drain(limit_seconds)
        loop = asyncio.get_running_loop()
        for opened in self._sockets:
            if self._server is None:
                loop.remove_reader(opened)
            opened.close()

    async def _try_again(self) -> None:
        while True:
            await asyncio.sleep(self._retry_seconds)
            if await self._listen():
                return

    async def _listen(self) -> bool:
        try:
            self._sockets = await _listening(*self._place)
        except OSError as error:
            _log.warning(
                "admin: cannot listen at %s:%d (%s): no HTTP; tried again every %d s; "
                "admin.address moves it",
                *self._place,
                _reason(error),
                self._retry_seconds,
            )
            return False
        self.addresses = tuple(opened.getsockname()[:2] for opened in self._sockets)
        for opened in self._sockets:
            asyncio.get_running_loop().add_reader(opened, self._somebody_comes)
        self.listens.set()
        _log.info("HTTP: http%s://%s:%d", "s" if self._tls() else "", *self.addresses[0])
        return True

    def _somebody_comes(self) -> None:
        loop = asyncio.get_running_loop()
        for opened in self._sockets:
            loop.remove_reader(opened)
        self._opening = loop.create_task(self._open(), name="HTTP door")
        self._opening.add_done_callback(_tell)

    async def _open(self) -> None:
        server, respond = await asyncio.to_thread(self._loaded)
        self._server = server(respond, self._limits)
        self._server.serve(self._sockets, self._tls)

    def _loaded(self) -> "tuple[type[HttpServer], Respond]":
        from mta.edge.api.http import HttpServer  # 9 MB, which most servers never need

        return HttpServer, self._load()


def _tell(opening: asyncio.Task[None]) -> None:
    """Say of a bug of ours that it is one: nobody waits for this task."""
    if not opening.cancelled() and (error := opening.exception()) is not None:
        _log.error("HTTP is not served", exc_info=error)


async def _listening(host: str, port: int) -> list[socket.socket]:
    """Sockets for each address that the host stands for, and that this machine has."""
    opened: list[socket.socket] = []
    missing: OSError | None = None
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    try:
        for family, _, _, _, address in found:
            try:
                opened.append(socket.create_server(address[:2], family=family, backlog=_BACKLOG))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
        if missing is not None and not opened:
            raise missing
    except OSError:
        for each in opened:
            each.close()
        raise
    for each in opened:
        each.setblocking(False)
    return opened


def _reason(error: OSError) -> str:
    """What is wrong, without the sentence that asyncio adds."""
    is_of_system = error.errno is not None and error.errno > 0  # names that fail have others
    return os.strerror(error.errno or 0) if is_of_system else error.strerror or str(error)
