"""How many files and connections this process may have open at a time (RLIMIT_NOFILE)."""

import resource
from contextlib import suppress


def raise_limit() -> int:
    """Take as many as we are allowed, and give their number.

    The usual soft limit of 1,024 is for programs that use select(2), which we do not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # a sandbox that forbids it leaves us what we have
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft
