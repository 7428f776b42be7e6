"""One session of the door without a network: its transport is a list, its client a call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from mta.model.listener import Auth, Endpoint, Listener

from mta.edge.submission import SessionLimits, SubmissionServer
from mta.edge.submission.session import Session

from tests.edge.fake_door import PATIENCE, FakeDoor, FakeLogins


class Wire:
    """A transport that keeps what is written, and says whether it is read."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self._is_paused = False
        self.is_shut = False
        self._is_closing = False

    def get_extra_info(self, name: str) -> object:
        return {"peername": ("127.0.0.1", 40_000)}.get(name)

    def write(self, data: bytes) -> None:
        assert not self._is_closing
        self.written.append(data)

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False

    def is_read(self) -> bool:
        return not self._is_paused

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.is_shut = True

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    abort = close

    def codes(self) -> list[str]:
        """The codes of the replies since the last look."""
        lines = b"".join(self.written).decode().splitlines()
        self.written.clear()
        return [line[:3] for line in lines if line[3] == " "]


class Visit:
    """A session of a server that listens nowhere."""

    def __init__(self, server: SubmissionServer) -> None:
        self.server = server
        self.wire = Wire()
        entrance = server._entrances[0]
        self.session = Session(
            entrance,
            lambda session, client: server.admit(entrance, session, client),
            server.dismissed,
            asyncio.get_running_loop(),
        )
        self.session.connection_made(cast("asyncio.Transport", self.wire))
        assert self.wire.codes() == ["220"]

    def say(self, data: bytes) -> list[str]:
        """The codes of what is answered at once."""
        self.session.data_received(data)
        return self.wire.codes()

    async def answered(self) -> list[str]:
        """The codes of what is answered later."""
        async with asyncio.timeout(PATIENCE):
            while not self.wire.written:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0)
        return self.wire.codes()

    async def gone(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.session in self.server._sessions:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0)


@asynccontextmanager
async def visiting(
    door: FakeDoor, *, logins: FakeLogins | None = None, **limits: float
) -> AsyncIterator[Visit]:
    server = SubmissionServer(
        listeners=[Listener(Endpoint("127.0.0.1", 0), auth=Auth.OPTIONAL, plaintext_auth=True)],
        door=door,
        logins=logins or FakeLogins(),
        hostname="mail.test",
        limits=SessionLimits(**limits),  # type: ignore[arg-type]
    )
    visit = Visit(server)
    try:
        yield visit
    finally:
        visit.session.connection_lost(None)
        async with asyncio.timeout(PATIENCE):
            await server.drain(0)
        assert not server._clients
        assert server._service.held == 0
