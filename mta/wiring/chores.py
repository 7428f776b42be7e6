"""What is done every so many seconds beside the mail, whatever becomes of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

AFTER_A_BUG = 60.0  # seconds: one that fails each time is not to fill the log


async def every(
    seconds: float, step: Callable[[], Awaitable[None]], *, after_a_bug: float = AFTER_A_BUG
) -> None:
    """Do it until cancelled. A bug of ours costs this time, and not the server."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await step()
        except Exception:
            log.exception("%s: a chore ended in a bug", getattr(step, "__name__", step))
            await asyncio.sleep(after_a_bug)
