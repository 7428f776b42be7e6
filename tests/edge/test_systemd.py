import os
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from mta.edge.systemd import Notifier, handed_sockets


def test_states_reach_the_manager(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(5)

        Notifier({"NOTIFY_SOCKET": path}).say("READY=1")

        assert manager.recv(100) == b"READY=1"


def test_an_abstract_address_begins_with_an_at_sign() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0mta-test-notify")
        manager.settimeout(5)

        Notifier({"NOTIFY_SOCKET": "@mta-test-notify"}).say("STOPPING=1")

        assert manager.recv(100) == b"STOPPING=1"


def test_without_a_manager_nothing_is_said() -> None:
    notifier = Notifier({})

    notifier.say("READY=1")

    assert notifier.watchdog_interval is None


def test_a_manager_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).say("READY=1")


def test_the_watchdog_hears_from_us_twice_in_its_time() -> None:
    assert Notifier({"WATCHDOG_USEC": "30000000"}).watchdog_interval == 15.0


# Sockets


class Opened:
    """Sockets with descriptors in a row, as systemd hands them."""

    FIRST = 900

    def __init__(self, count: int) -> None:
        self.ports = []
        for place in range(count):
            with socket.create_server(("127.0.0.1", 0)) as made:
                self.ports.append(made.getsockname()[1])
                os.dup2(made.fileno(), self.FIRST + place)

    def handed(self, **variables: str) -> dict[str, list[int]]:
        """The ports of what is taken over, by name; nothing stays open."""
        environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(self.ports))}
        found = handed_sockets(environment | variables, first=self.FIRST)
        with ExitStack() as stack:
            for each in [each for sockets in found.values() for each in sockets]:
                stack.enter_context(each)
            return {
                name: [each.getsockname()[1] for each in sockets] for name, sockets in found.items()
            }


def test_sockets_come_by_their_names() -> None:
    opened = Opened(3)
    one, two, three = opened.ports

    found = opened.handed(LISTEN_FDNAMES="smtp:submission:smtp")

    assert found == {"smtp": [one, three], "submission": [two]}


@pytest.mark.parametrize("names", [{}, {"LISTEN_FDNAMES": ""}, {"LISTEN_FDNAMES": ":"}])
def test_a_socket_without_a_name_is_called_as_systemd_calls_it(names: dict[str, str]) -> None:
    opened = Opened(1)

    assert opened.handed(**names) == {"unknown": opened.ports}


def test_no_program_that_we_start_has_them() -> None:
    opened = Opened(1)
    os.set_inheritable(opened.FIRST, True)
    environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}

    (found,) = handed_sockets(environment, first=opened.FIRST)["unknown"]

    with found:
        assert not found.get_inheritable()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},  # meant for who started us
        {"LISTEN_FDS": "0", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "many", "LISTEN_PID": str(os.getpid())},
    ],
)
def test_what_is_not_meant_for_us_is_left_alone(environment: dict[str, str]) -> None:
    assert handed_sockets(environment, first=900) == {}
