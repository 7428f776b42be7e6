"""Finds whose sites lanes lead to, some at once, in nobody's way."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from mta.flow.delivery.lane import Lane
from mta.flow.delivery.sites import Sites

log = logging.getLogger(__name__)

AT_ONCE = 100  # sites that are looked for
AFTER_A_BUG = 1.0  # seconds


class Search:
    """Gives each lane to `on_found` when its site is known, or as well as known."""

    def __init__(self, *, sites: Sites, on_found: Callable[[Lane], None]) -> None:
        self._sites = sites
        self._on_found = on_found
        self._unknown: deque[Lane] = deque()
        self._finders: set[asyncio.Task[None]] = set()

    @property
    def is_under_way(self) -> bool:
        """Whether something is looked for."""
        return bool(self._finders)

    def begin(self, lane: Lane) -> None:
        """Look for its site, soon."""
        self._unknown.append(lane)
        if len(self._finders) < AT_ONCE:
            finder = asyncio.create_task(self._find(), name="finder of sites")
            self._finders.add(finder)
            finder.add_done_callback(self._finders.discard)

    async def stop(self) -> None:
        """Look for nothing more."""
        finders = list(self._finders)
        for finder in finders:
            finder.cancel()
        await asyncio.gather(*finders, return_exceptions=True)

    async def _find(self) -> None:
        while self._unknown:
            lane = self._unknown.popleft()
            try:
                await self._sites.find(lane.destination)
            except Exception:
                log.exception("%s: to find its site ended in a bug", lane.destination)
                await asyncio.sleep(AFTER_A_BUG)
            self._on_found(lane)
