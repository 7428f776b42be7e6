"""The listeners of the door, and who is inside."""

import asyncio
import errno
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from mta.model.address import refuse_unicode
from mta.model.listener import Listener, TlsStart
from mta.model.outcome import Reply

from mta.rules.content import BareNewlines

from mta.edge.submission.entrance import Entrance, Service
from mta.edge.submission.link import client_of
from mta.edge.submission.session import Session
from mta.edge.submission.settings import Door, ListenError, Logins, SessionLimits

_log = logging.getLogger(__name__)

_BACKLOG = 1_024
_ACCEPT_PAUSE_SECONDS = 1.0

_CURES = {
    errno.EADDRINUSE: "another program listens there; stop it, or choose another port",
    errno.EACCES: "the port needs a privilege; grant CAP_NET_BIND_SERVICE, or choose 1024 or more",
    errno.EADDRNOTAVAIL: "this machine has no such address; choose one that it has",
    errno.EAFNOSUPPORT: "this machine has no such kind of address; choose one that it has",
}
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

_STOPPING = Reply(421, "Shutting down", 3, 2)


class SubmissionServer:
    """Listens, lets clients in, and sees them out."""

    def __init__(
        self,
        *,
        listeners: Sequence[Listener],
        door: Door,
        hostname: str,
        to_ascii: Callable[[str], str] = refuse_unicode,
        limits: SessionLimits | None = None,
        bare_newlines: BareNewlines = BareNewlines.NORMALISE,
        tls: ssl.SSLContext | None = None,
        logins: Logins | None = None,
        shares_ports: bool = False,
    ) -> None:
        """`to_ascii` turns a domain into A-labels or raises ValueError; `tls` may come later.

        `shares_ports`: other processes of ours listen there too, and the kernel deals out.
        """
        self._shares_ports = shares_ports
        self._service = Service(
            door=door,
            hostname=hostname,
            to_ascii=to_ascii,
            limits=limits or SessionLimits(),
            bare_newlines=bare_newlines,
            tls=tls,
            logins=logins,
        )
        self._entrances = tuple(Entrance(listener, self._service) for listener in listeners)
        self._servers: list[asyncio.Server] = []
        self._accepting: set[asyncio.Task[None]] = set()  # one for each socket of implicit TLS
        self._handshakes: set[asyncio.Task[None]] = set()
        self._sessions: set[Session] = set()
        self._clients: Counter[str] = Counter()  # how many connections each has
        self._inside = 0  # how many they have together
        self._empty = asyncio.Event()
        self._empty.set()
        self._is_stopping = False
        self.addresses: tuple[tuple[str, int], ...] = ()

    async def start(self) -> None:
        """Listen everywhere, or nowhere and raise ListenError. `addresses` then says where."""
        try:
            for entrance in self._entrances:
                await self._listen(entrance)
        except ListenError:
            self.stop_accepting()
            await asyncio.gather(*self._accepting, return_exceptions=True)
            raise

    def stop_accepting(self) -> None:
        """Let nobody in any more; who is inside stays."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for task in self._accepting:
            task.cancel()

    async def drain(self, limit_seconds: float) -> None:
        """Let messages under way come to their end, and everybody go.

        After the limit, contents that are still arriving are cut off. A message whose final dot
        has come is waited for all the same: its reply is owed, and the door bounds its time.
        """
        self.stop_accepting()
        self._is_stopping = True
        await asyncio.gather(*self._accepting, return_exceptions=True)
        for handshake in self._handshakes:
            handshake.cancel()
        for session in tuple(self._sessions):
            session.retire(_STOPPING)
        try:
            async with asyncio.timeout(limit_seconds):
                await self._empty.wait()
        except TimeoutError:
            for session in tuple(self._sessions):
                session.dismiss(_STOPPING)
            await self._empty.wait()

    def replace_tls(self, context: ssl.SSLContext) -> None:
        """Use another certificate from the next handshake on."""
        self._service.tls = context
        self._refit()

    def replace_limits(self, limits: SessionLimits) -> None:
        """Use other limits from the next session on."""
        self._service.limits = limits
        self._refit()

    def _refit(self) -> None:
        for entrance in self._entrances:
            entrance.refit()

    async def _listen(self, entrance: Entrance) -> None:
        listener = entrance.listener
        if listener.tls is TlsStart.IMPLICIT and self._service.tls is None:
            raise ListenError(f"{_place(listener)}: expected a certificate, found none")
        loop = asyncio.get_running_loop()
        for opened in await _sockets(listener, partial(_listening, shares_port=self._shares_ports)):
            self.addresses += (opened.getsockname()[:2],)
            if listener.tls is TlsStart.IMPLICIT:
                self._start_accepting(entrance, opened)
            else:
                admit = partial(self._admit, entrance)
                factory = partial(Session, entrance, admit, self._dismissed, loop)
                self._servers.append(
                    await loop.create_server(factory, sock=opened, backlog=_BACKLOG)
                )

    def _start_accepting(self, entrance: Entrance, opened: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        name = f"door at {_place(entrance.listener)}"
        task = loop.create_task(self._accept(entrance, opened), name=name)
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)
        task.add_done_callback(lambda _: opened.close())

    async def _accept(self, entrance: Entrance, opened: socket.socket) -> None:
        """Accept connections for implicit TLS.

        An asyncio server would shake hands before we hear of a client, uncounted and with the
        certificate that it began with.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(opened)
            except OSError as error:  # most often, no more descriptors are left
                _log.warning("%s: cannot accept: %s", _place(entrance.listener), error)
                await asyncio.sleep(_ACCEPT_PAUSE_SECONDS)
                continue
            client = client_of(peer)
            if self._objection(entrance, client) is not None:
                connection.close()  # what we would say is not TLS
                continue
            self._enter(client)
            task = loop.create_task(
                self._shake_hands(entrance, connection, client), name=f"handshake with {client}"
            )
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(
        self, entrance: Entrance, connection: socket.socket, client: str
    ) -> None:
        loop = asyncio.get_running_loop()
        is_counted = True

        def admit(session: Session, client: str) -> Reply | None:
            nonlocal is_counted
            is_counted = False
            self._leave(client)
            return self._admit(entrance, session, client)

        try:
            await loop.connect_accepted_socket(
                partial(Session, entrance, admit, self._dismissed, loop),
                connection,
                ssl=self._service.tls,
                ssl_handshake_timeout=self._service.limits.handshake_seconds,
            )
        except OSError:
            pass  # the client's TLS is its own affair
        finally:
            if is_counted:
                self._leave(client)

    def _admit(self, entrance: Entrance, session: Session, client: str) -> Reply | None:
        """Take a session in, or say why not."""
        refusal = self._objection(entrance, client) or self._service.door.objection_to_client(
            client
        )
        if refusal is None:
            self._sessions.add(session)
            self._enter(client)
        return refusal

    def _objection(self, entrance: Entrance, client: str) -> Reply | None:
        limits = self._service.limits
        if not entrance.is_open_to(client):
            return Reply(554, "Not from your address", 7, 1)
        if self._is_stopping:
            return _STOPPING
        if self._inside >= limits.connections:
            return Reply(421, "Too many connections", 3, 2)
        if self._clients[client] >= limits.connections_per_client:
            return Reply(421, "Too many connections from your address", 7, 0)
        return None

    def _dismissed(self, session: Session, client: str) -> None:
        self._sessions.discard(session)
        self._leave(client)

    def _enter(self, client: str) -> None:
        self._clients[client] += 1
        self._inside += 1
        self._empty.clear()

    def _leave(self, client: str) -> None:
        self._clients[client] -= 1
        self._inside -= 1
        if not self._clients[client]:
            del self._clients[client]
        if not self._clients:
            self._empty.set()


def _place(listener: Listener) -> str:
    return f"{listener.host or '*'}:{listener.port}"


async def reserve(listeners: Sequence[Listener]) -> dict[Listener, list[socket.socket]]:
    """Sockets that hold the ports of all listeners for processes that share them.

    Nobody is heard there: they do not listen. Raises ListenError.
    """
    return {
        listener: await _sockets(listener, partial(_bound, shares_port=True))
        for listener in listeners
    }


async def _sockets(listener: Listener, make: Callable[..., socket.socket]) -> list[socket.socket]:
    """What `make` makes for each address that the listener's host stands for. Raises ListenError.

    A name may stand for addresses that this machine has not, as localhost often does for ::1;
    one that it has is enough.
    """
    opened: list[socket.socket] = []
    missing: OSError | None = None
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            listener.host or None, listener.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, address in found:
            try:
                opened.append(make(family, address))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
        if missing is not None and not opened:
            raise missing
    except OSError as error:
        for each in opened:
            each.close()
        cure = _CURES.get(error.errno or 0, error.strerror or str(error))
        raise ListenError(f"{_place(listener)}: cannot listen: {cure}") from error
    except UnicodeError as error:  # how Python says that this can be no host's name
        raise ListenError(f"{_place(listener)}: cannot listen: {error}") from error
    return opened


def _listening(
    family: socket.AddressFamily, address: tuple[object, ...], *, shares_port: bool
) -> socket.socket:
    """A socket that listens at this address and no other. Raises OSError."""
    opened = _bound(family, address, shares_port=shares_port)
    try:
        opened.listen(_BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _bound(
    family: socket.AddressFamily, address: tuple[object, ...], *, shares_port: bool
) -> socket.socket:
    """A socket at this address and no other. Raises OSError."""
    # Named, for asyncio turns Nagle's algorithm off only where it reads TCP here.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shares_port:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
    except OSError:
        opened.close()
        raise
    return opened
