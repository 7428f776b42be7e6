import socket
from pathlib import Path

from mta.edge.systemd import Notifier


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
