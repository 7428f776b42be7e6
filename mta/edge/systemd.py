"""Systemd: what it is told (sd_notify(3)), and sockets that it opened (sd_listen_fds(3))."""

import os
import socket
from collections.abc import Mapping

_FIRST_DESCRIPTOR = 3


def handed_sockets(
    environment: Mapping[str, str] = os.environ, first: int = _FIRST_DESCRIPTOR
) -> dict[str, list[socket.socket]]:
    """The sockets that were opened for us, by their name; no program that we start has them.

    Once only: they are ours from then on. Raises OSError where what was handed is no socket.
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = environment.get("LISTEN_FDS", "")
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    found: dict[str, list[socket.socket]] = {}
    for place in range(int(count) if count.isdecimal() else 0):
        os.set_inheritable(first + place, False)
        name = names[place] if place < len(names) and names[place] else "unknown"
        found.setdefault(name, []).append(socket.socket(fileno=first + place))
    return found


class Notifier:
    """Tells the service manager how we are; without one every call does nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.watchdog_interval = int(microseconds) / 2e6 if microseconds.isdigit() else None

    def say(self, state: str) -> None:
        """Send one state, as in "READY=1". A manager that does not listen is no trouble of ours."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            try:
                sender.sendto(state.encode(), self._address)
            except OSError:
                return
