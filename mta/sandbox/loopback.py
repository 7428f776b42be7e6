"""Room on loopback: one port on many addresses."""

import errno
import socket
from collections.abc import Sequence

ONE_PORT_TRIES = 50


class SandboxError(Exception):
    """The sandbox cannot stand here; the message says why and what helps."""


def listeners(addresses: Sequence[str], port: int = 0) -> list[socket.socket]:
    """Bind a socket on each of these addresses, all on one port; 0 picks a free one.

    A socket that nobody listens on refuses connections. Raises SandboxError.
    """
    for _ in range(ONE_PORT_TRIES):
        bound: list[socket.socket] = []
        try:
            for address in addresses:
                bound.append(_bound(address, bound[0].getsockname()[1] if bound else port))
        except OSError as error:
            for each in bound:
                each.close()
            if error.errno != errno.EADDRINUSE or port != 0:
                raise SandboxError(_why_not(error, addresses[len(bound)], port)) from error
        else:
            return bound
    raise SandboxError(f"found no port that is free on all of {', '.join(addresses)}")


def _bound(address: str, port: int) -> socket.socket:
    # Named, for asyncio turns Nagle's algorithm off only where it reads TCP here.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound


def _why_not(error: OSError, address: str, port: int) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return (
            f"this system has no {address}: the sandbox needs one loopback address for each"
            f" mail exchanger. On macOS and BSD: sudo ifconfig lo0 alias {address} up"
        )
    return f"cannot bind {address}:{port}: {error.strerror}"
