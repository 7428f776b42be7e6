"""One of several processes: a whole server, but for its slots, which the supervisor keeps."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

from mta.flow.ports import EventLog

from mta.edge.channel import Channel

from mta.app import Server
from mta.config import ConfigError, Settings
from mta.processes.share import Share
from mta.processes.words import RemoteSlots
from mta.wiring.fittings import STARTUP_ERRORS, history_for, open_spool, trouble_at_close

log = logging.getLogger(__name__)


class Worker:
    """Serves its share of the settings until the supervisor, or SIGTERM, tells it to stop."""

    def __init__(self, settings: Settings, share: Share, load: Callable[[], Settings]) -> None:
        """`load` reads the settings anew, for a reload."""
        self._settings = settings
        self._share = share
        self._load = load
        self._stop = asyncio.Event()
        self._is_done = False
        self._channel = Channel(heard=self._heard, ended=self._orphaned)
        self._slots = RemoteSlots(self._channel.say)
        self._server: Server | None = None

    async def run(self, events: EventLog) -> int:
        """Serve; gives the status to end with. Raises STARTUP_ERRORS."""
        await self._channel.open(socket.socket(fileno=self._share.channel))
        settings = self._share.of(self._settings)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        for number in (signal.SIGINT, signal.SIGHUP):  # they are for the supervisor
            loop.add_signal_handler(number, lambda: None)
        spool = open_spool(settings)
        try:
            self._server = Server(
                settings,
                spool=spool,
                events=events,
                history=history_for(settings, self._share.number, self._share.count),
                slots=self._slots,
                given=self._share.common_sockets(),
                is_first=self._share.number == 0,
            )
            await self._server.start()
            self._channel.say("ready")
            await self._server.run(self._stop)
        finally:
            self._is_done = True
            unsaved = await trouble_at_close(spool)
            self._channel.close()
        if unsaved is not None:
            log.error("the last results are not on disk, and may be repeated: %s", unsaved)
        return 0 if unsaved is None else 1

    def _heard(self, words: list[Any]) -> None:
        if words == ["stop"]:
            self._stop.set()
        elif words == ["reload"]:
            self._reload()
        else:
            self._slots.heard(*words)

    def _reload(self) -> None:
        if self._server is None:
            return
        try:
            settings = self._load()
            # Their sockets are what they were at the start.
            settings = settings.model_copy(update={"listen": self._settings.listen})
            self._server.reload(self._share.of(settings))
        except (ConfigError, *STARTUP_ERRORS) as error:
            log.error("not reloaded, the old settings stay in force: %s", error)

    def _orphaned(self) -> None:
        if not self._is_done:
            # Nobody keeps the slots any more, and another supervisor may start at any moment.
            log.error("the supervisor is gone: ending at once; what was under way is in the spool")
            os._exit(1)
