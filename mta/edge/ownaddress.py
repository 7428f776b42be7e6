"""Which of this machine's addresses it would send from, as the kernel's routes have it."""

import socket
from contextlib import suppress

# Anywhere on the public Internet; root servers are there whatever else moves.
_FAR = {4: "198.41.0.4", 6: "2001:503:ba3e::2:30"}
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def own_address(version: int) -> str | None:
    """The address that connections of an IP version to the Internet come from; None: no route.

    Asks the kernel alone: a UDP socket that is connected sends nothing.
    """
    with suppress(OSError), socket.socket(_FAMILIES[version], socket.SOCK_DGRAM) as probe:
        probe.connect((_FAR[version], 9))
        return str(probe.getsockname()[0])
    return None


def is_ours(address: str) -> bool:
    """Whether this machine has the address, to connect from."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        return True
    return False
