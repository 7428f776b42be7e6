"""Words between two processes of ours, over a socket pair: each message is a list, a line of JSON.

Both ends trust each other: they are one program. Whatever is said in one turn of the event loop
leaves in one write.
"""

import asyncio
import json
import socket
from collections.abc import Callable, Sequence
from typing import Any, cast

Word = str | float | Sequence[object] | None


class Channel(asyncio.Protocol):
    """One end. `heard` gets each message, `ended` hears once that the other end is gone."""

    def __init__(
        self, *, heard: Callable[[list[Any]], None], ended: Callable[[], None] = lambda: None
    ) -> None:
        self._heard = heard
        self._ended = ended
        self._wire: asyncio.Transport | None = None
        self._said: list[bytes] = []
        self._rest = b""

    async def open(self, end: socket.socket) -> None:
        """Speak over this end of a pair, which is the channel's from now on."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=end)

    def say(self, *words: Word) -> None:
        """Send a message, soon; to nobody, where the other end is gone."""
        if not self._said:
            asyncio.get_running_loop().call_soon(self._flush)
        self._said.append(json.dumps(words).encode() + b"\n")

    def close(self) -> None:
        """Say what is to be said, and no more."""
        self._flush()
        if self._wire is not None:
            self._wire.close()

    def _flush(self) -> None:
        said, self._said = self._said, []
        if said and self._wire is not None and not self._wire.is_closing():
            self._wire.write(b"".join(said))

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is somebody."""
        self._wire = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass whole messages on, and keep the beginning of the next."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._heard(json.loads(line))

    def connection_lost(self, error: Exception | None) -> None:
        """The other end is gone."""
        self._ended()
