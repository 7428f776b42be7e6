"""What is done every so many seconds beside the mail, whatever becomes of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

AFTER_A_BUG = 60.0  # seconds: one that fails each time is not to fill the log


async def every(
    seconds: float,
    step: Callable[[], Awaitable[None]],
    *,
    at_once: bool = False,
    after_a_bug: float = AFTER_A_BUG,
) -> None:
    """Do it until cancelled, `at_once` or in so many seconds for the first time.

    A bug of ours costs this time, and not the server.
    """
    if not at_once:
        await asyncio.sleep(seconds)
    while True:
        try:
            await step()
        except Exception:
            log.exception("%s: a chore ended in a bug", getattr(step, "__name__", step))
            await asyncio.sleep(after_a_bug)
        await asyncio.sleep(seconds)
