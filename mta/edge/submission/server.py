"""The listeners of the door, and who is inside."""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from types import MappingProxyType

from mta.model.address import refuse_unicode
from mta.model.listener import Listener, TlsStart
from mta.model.outcome import Reply
from mta.model.site import site_of

from mta.rules.submission.content import BareNewlines

from mta.edge.submission.arrivals import Arrivals
from mta.edge.submission.entrance import Entrance, Service
from mta.edge.submission.session import Session
from mta.edge.submission.settings import Door, ListenError, Logins, SessionLimits
from mta.edge.submission.sockets import BACKLOG, Given, open_sockets, place_of

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
        given: Given = MappingProxyType({}),
    ) -> None:
        """`to_ascii` turns a domain into A-labels or raises ValueError; `tls` may come later.

        `shares_ports`: other processes of ours listen there too, and the kernel deals out. `given`
        are sockets that are open already, and are ours to close from now on.
        """
        self._shares_ports = shares_ports
        self._given = given
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
        self._arrivals: list[Arrivals] = []
        self._accepting: list[asyncio.Task[None]] = []  # those of the arrivals
        self._sessions: set[Session] = set()
        self._clients: Counter[str] = Counter()  # how many connections each site has
        self._inside = 0  # how many they have together
        self._empty = asyncio.Event()
        self._empty.set()
        self._is_stopping = False
        self.addresses: tuple[tuple[str, int], ...] = ()  # those of TCP
        self.places: tuple[str, ...] = ()  # all of them, as people write them

    async def start(self) -> None:
        """Listen everywhere, or nowhere and raise ListenError. `places` then says where."""
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
        for arrivals in self._arrivals:
            arrivals.turn_away()
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
            raise ListenError(f"{listener.place}: expected a certificate, found none")
        for opened in await open_sockets(listener, self._given, shares_port=self._shares_ports):
            self.places += (place_of(listener, opened),)
            if opened.family != socket.AF_UNIX:
                self.addresses += (opened.getsockname()[:2],)
            if _is_plain(listener, opened):
                await self._serve(entrance, opened)
            else:
                self._start_accepting(entrance, opened)

    async def _serve(self, entrance: Entrance, opened: socket.socket) -> None:
        """Have the event loop accept connections that are sessions at once."""
        loop = asyncio.get_running_loop()
        admit = partial(self.admit, entrance)
        factory = partial(Session, entrance, admit, self.dismissed, loop)
        self._servers.append(await loop.create_server(factory, sock=opened, backlog=BACKLOG))

    def _start_accepting(self, entrance: Entrance, opened: socket.socket) -> None:
        arrivals = Arrivals(entrance, opened, self)
        self._arrivals.append(arrivals)
        name = f"door at {entrance.listener.place}"
        task = asyncio.create_task(arrivals.run(), name=name)
        task.add_done_callback(lambda _: opened.close())
        self._accepting.append(task)

    # What arrivals and sessions ask and tell

    def admit(self, entrance: Entrance, session: Session, client: str) -> Reply | None:
        """Take a session in, and count it; or say why not."""
        refusal = self.objection(entrance, client) or self._service.door.objection_to_client(client)
        if refusal is None:
            self._sessions.add(session)
            self.enter(client)
        return refusal

    def objection(self, entrance: Entrance, client: str) -> Reply | None:
        """Why nobody more may come in from this address."""
        limits = self._service.limits
        if not entrance.is_open_to(client):
            return Reply(554, "Not from your address", 7, 1)
        if self._is_stopping:
            return _STOPPING
        if self._inside >= limits.connections:
            return Reply(421, "Too many connections", 3, 2)
        if self._clients[site_of(client)] >= limits.connections_per_client:
            return Reply(421, "Too many connections from your address", 7, 0)
        return None

    def has_room(self) -> bool:
        """Whether anybody may come in at all."""
        return not self._is_stopping and self._inside < self._service.limits.connections

    def dismissed(self, session: Session, client: str) -> None:
        """Hear that a session is over."""
        self._sessions.discard(session)
        self.leave(client)

    def enter(self, client: str) -> None:
        """Count a connection."""
        self._clients[site_of(client)] += 1
        self._inside += 1
        self._empty.clear()

    def leave(self, client: str) -> None:
        """Count it no more."""
        site = site_of(client)
        self._clients[site] -= 1
        self._inside -= 1
        if not self._clients[site]:
            del self._clients[site]
        if not self._clients:
            self._empty.set()


def _is_plain(listener: Listener, opened: socket.socket) -> bool:
    """Whether a connection is a session from its first octet, of a client that has an address."""
    is_tcp = opened.family != socket.AF_UNIX
    return is_tcp and listener.tls is not TlsStart.IMPLICIT and not listener.proxies
