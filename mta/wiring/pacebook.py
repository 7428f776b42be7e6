"""Where the pace of sites is kept over a restart, by whoever grants the connections."""

import asyncio
import logging
from pathlib import Path

from mta.flow.delivery.slots import Slots

from mta.edge.memory.pace import read_paces, write_paces

log = logging.getLogger(__name__)

FILE = "pace.json"  # in the spool's folder


class PaceBook:
    """Reads at the start what an earlier life knew of sites, and writes down what changes."""

    def __init__(self, folder: Path, slots: Slots) -> None:
        self._path = folder / FILE
        self._slots = slots
        self._is_broken = False

    def restore(self) -> None:
        """Go on with what was known."""
        try:
            self._slots.restore(read_paces(self._path))
        except (OSError, ValueError) as error:
            log.warning("every site is met as if it were new: %s", error)

    async def keep(self) -> None:
        """Write it down, where anything has changed."""
        states = self._slots.changed_states()
        if states is None:
            return
        try:
            await asyncio.to_thread(write_paces, self._path, states)
        except OSError as error:
            if not self._is_broken:
                log.warning("the pace of sites is not kept: %s", error)
            self._is_broken = True
        else:
            self._is_broken = False
