"""Which of our addresses the kernel would send from."""

import subprocess
from ipaddress import ip_address

import pytest

from mta.edge.ownaddress import is_ours, own_address


@pytest.mark.parametrize("version", [4, 6])
def test_it_is_one_of_this_machine_or_there_is_none(version: int) -> None:
    address = own_address(version)

    if address is None:
        return
    assert ip_address(address).version == version
    shown = subprocess.run(["ip", f"-{version}", "addr"], capture_output=True, text=True)
    assert shown.returncode != 0 or f" {address}/" in shown.stdout


def test_an_address_is_ours_if_we_can_connect_from_it() -> None:
    assert is_ours("127.0.0.1")
    assert not is_ours("203.0.113.7")  # RFC 5737 §3
    assert not is_ours("2001:db8::7")  # RFC 3849
