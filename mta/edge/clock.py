"""Whether the machine's clock is kept right."""

import ctypes
from contextlib import suppress

_TIME_ERROR = 5  # adjtimex(2): nobody keeps the clock right
_SIZE = 512  # octets; struct timex has 208


def is_synchronised() -> bool | None:
    """What the kernel says of it; None where it says nothing. Changes nothing."""
    with suppress(OSError, AttributeError):
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_SIZE))
        return state != _TIME_ERROR if state >= 0 else None
    return None
