"""The addresses that mail goes out from, and their names."""

import smtplib
import socket
from collections.abc import Iterator

import pytest

from mta.sandbox.dns import Records
from mta.sandbox.exchangers import Received
from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess
from tests.e2e import letters

NOT_OURS = "203.0.113.7"  # RFC 5737 §3
OTHERS = "9.9.9.9"


def carried(server: ServerProcess, internet: Internet, recipient: str) -> Received:
    """What the exchanger took of a message that was handed in."""
    hand_in(server, recipient)
    return internet.mail_to(recipient)


def hand_in(server: ServerProcess, recipient: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
        client.sendmail(letters.SENDER, [recipient], letters.plain(recipient))


def test_mail_goes_out_from_an_address_of_the_settings_under_its_name(
    own: ServerProcess, internet: Internet
) -> None:
    own.settings["delivery"]["sources"] = [{"address": "127.0.0.9", "hostname": "nine.app.test"}]
    own.start()

    arrived = carried(own, internet, "from-nine@d01.test")

    assert arrived.helo == "nine.app.test"


def test_one_that_this_machine_does_not_have_is_told_of_and_left_out(
    own: ServerProcess, internet: Internet
) -> None:
    own.settings["delivery"]["sources"] = [
        {"address": NOT_OURS, "weight": 1000},
        {"address": "127.0.0.9", "hostname": "nine.app.test"},
    ]
    own.start()

    arrived = carried(own, internet, "left-out@d02.test")

    assert arrived.helo == "nine.app.test"
    own.says(f"no mail goes out from {NOT_OURS}: Cannot assign requested address")


def test_a_reload_puts_other_addresses_in_force(own: ServerProcess, internet: Internet) -> None:
    own.settings["delivery"]["sources"] = [{"address": "127.0.0.9", "hostname": "nine.app.test"}]
    own.start()

    own.settings["delivery"]["sources"] = [{"address": "127.0.0.8", "hostname": "eight.app.test"}]
    own.reload()
    own.says("reloaded|in force")

    assert carried(own, internet, "reloaded@d03.test").helo == "eight.app.test"


def test_a_start_warns_of_an_address_without_a_reverse_name(own: ServerProcess) -> None:
    own.settings["delivery"]["sources"] = [{"address": OTHERS}]

    own.start()

    own.says(f"{OTHERS} has no reverse name; large receivers expect one that leads back to it")


@pytest.fixture
def six(internet: Internet) -> Iterator[socket.socket]:
    """Who listens on ::1, where the only exchanger of six.test and one of two of both.test live."""
    zone, port = internet.world.dns.zone, internet.world.port
    four = zone["mx1.d05.test"].a
    zone["six.test"] = Records(mx=((1, "mx.six.test"),))
    zone["mx.six.test"] = Records(aaaa=("::1",))
    zone["d05.test"] = Records(mx=((1, "mx.d05.test"),))
    zone["mx.d05.test"] = Records(aaaa=("::1",), a=four)
    with socket.create_server(("::1", port), family=socket.AF_INET6) as listening:
        listening.settimeout(20)
        yield listening


@pytest.mark.parametrize("ipv6", ["auto", "always"])
def test_a_host_without_ipv4_is_connected_to_over_ipv6(
    own: ServerProcess, six: socket.socket, ipv6: str
) -> None:
    own.settings["delivery"]["ipv6"] = ipv6
    own.start()

    hand_in(own, "anna@six.test")

    connection, _ = six.accept()
    connection.close()


def test_without_ipv6_its_mail_waits(own: ServerProcess, six: socket.socket) -> None:
    own.settings["delivery"] |= {"ipv6": "never", "mode": "direct"}
    own.start()

    hand_in(own, "anna@six.test")

    deferred = own.event(event="deferred")
    assert deferred["reply"]["text"] == (
        "mx.six.test has IPv6 addresses alone, and we send without IPv6"
    )


@pytest.mark.parametrize("ipv6", ["auto", "always", "never"])
def test_a_host_with_both_gets_its_mail_over_ipv4(
    own: ServerProcess, internet: Internet, six: socket.socket, ipv6: str
) -> None:
    own.settings["delivery"]["ipv6"] = ipv6
    own.start()

    carried(own, internet, f"{ipv6}@d05.test")

    assert ":" not in own.event(event="delivered")["address"]
