"""Starts the workers, keeps their slots, starts again what ended, and stops them in good order."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mta.flow.delivery.slots import Room, Slots

from mta.edge.channel import Channel
from mta.edge.submission import Given

from mta.processes.share import Share
from mta.processes.words import RemoteHolder
from mta.wiring.pacebook import PaceBook

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0  # seconds until what ended is started again
TICK = 1.0  # seconds between looks at the time
SOUND_LIFE = 60.0  # seconds, after which an end counts as the first


class StartError(Exception):
    """A worker ended before it was ready; what kept it stands in the log."""


class Supervisor:
    """Runs `count` workers. `command` starts one, with its share as another argument.

    `sockets` are those that all of them have in common, by their place; they are closed here when
    the workers are to stop, so that nobody waits in a queue that nobody serves.
    """

    def __init__(
        self,
        room: Room,
        *,
        count: int,
        ports: Sequence[int],
        command: Sequence[str],
        folder: Path,
        sockets: Given = MappingProxyType({}),
    ) -> None:
        """`folder` is where the pace of sites is kept."""
        self._slots = Slots(room, clock=time.time)
        self._paces = PaceBook(folder, self._slots)
        self._count = count
        self._ports = tuple(ports)
        self._command = tuple(command)
        self._sockets = sockets
        self._channels: dict[int, Channel] = {}
        self._ready: set[int] = set()  # those that have been ready once
        self._stopping = asyncio.Event()

    async def run(self, on_ready: Callable[[], None]) -> int:
        """Serve until `stop`; `on_ready` is called once all workers listen.

        Gives the status to end with: that of the worker that ended worst. Raises StartError.
        """
        self._on_ready = on_ready
        self._paces.restore()
        try:
            async with asyncio.TaskGroup() as tasks:
                lives = [
                    tasks.create_task(self._keep_alive(number), name=f"process {number + 1}")
                    for number in range(self._count)
                ]
                timer = tasks.create_task(self._keep_time(), name="timer")
                await asyncio.wait(lives)
                timer.cancel()
        except* StartError as group:
            raise StartError(str(group.exceptions[0])) from None
        await self._paces.keep()
        return max(abs(life.result()) for life in lives)

    def reload(self, room: Room) -> None:
        """Have all workers read their settings again; `room` is in force at once."""
        self._slots.renew(room)
        self._slots.grant()
        for channel in self._channels.values():
            channel.say("reload")

    def stop(self) -> None:
        """Have all workers end in good order."""
        self._stopping.set()
        for shared in chain.from_iterable(self._sockets.values()):
            shared.close()
        for channel in self._channels.values():
            channel.say("stop")

    async def _keep_alive(self, number: int) -> int:
        """Start a worker, again and again, until it ends because it was told to."""
        pause = FIRST_PAUSE
        while True:
            began_at = time.monotonic()
            status = await self._live(number)
            if self._stopping.is_set():
                return status
            if number not in self._ready:
                raise StartError(f"process {number + 1} ended before it was ready")
            if time.monotonic() - began_at > SOUND_LIFE:
                pause = FIRST_PAUSE
            log.error("process %d ended (status %d), and is started again", number + 1, status)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            if self._stopping.is_set():
                return status
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _live(self, number: int) -> int:
        """One life of a worker; gives its status, negative for the signal that ended it."""
        ours, child = await self._spawn(number)
        channel = Channel(heard=lambda words: self._heard(number, holder, words))
        holder = RemoteHolder(channel.say, self._slots)
        await channel.open(ours)
        self._slots.join(holder)
        self._channels[number] = channel
        if self._stopping.is_set():
            channel.say("stop")
        try:
            return await child.wait()
        except asyncio.CancelledError:  # another could not start
            channel.say("stop")
            await child.wait()
            raise
        finally:
            del self._channels[number]
            channel.close()
            self._slots.leave(holder)
            self._slots.grant()

    async def _spawn(self, number: int) -> tuple[socket.socket, asyncio.subprocess.Process]:
        """A worker, and our end of the channel to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            common = {
                place: [shared.fileno() for shared in sockets]
                for place, sockets in self._sockets.items()
            }
            share = Share(number, self._count, self._ports, theirs.fileno(), common)
            child = await asyncio.create_subprocess_exec(
                *self._command,
                share.to_text(),
                pass_fds=[theirs.fileno(), *chain.from_iterable(common.values())],
                start_new_session=True,  # Ctrl-C is for us: we tell it in our own time
            )
        return ours, child

    async def _keep_time(self) -> None:
        """Grant what time alone keeps back, and write down what is known of sites."""
        while True:
            await asyncio.sleep(TICK)
            at = self._slots.next_at
            if at is not None and at <= time.time():
                self._slots.grant()
            await self._paces.keep()

    def _heard(self, number: int, holder: RemoteHolder, words: list[Any]) -> None:
        if words != ["ready"]:
            holder.heard(*words)
            return
        is_news = number not in self._ready
        self._ready.add(number)
        if is_news and len(self._ready) == self._count:
            self._on_ready()
