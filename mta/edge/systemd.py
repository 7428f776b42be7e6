"""What systemd wants to hear: ready, reloading, stopping, still alive (sd_notify(3))."""

import os
import socket
from collections.abc import Mapping


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
