"""How many files and connections this process may have open at a time (RLIMIT_NOFILE)."""

import resource


def raise_limit() -> int:
    """Take as many as we are allowed, and give their number.

    The usual soft limit of 1,024 is for programs that use select(2), which we do not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
