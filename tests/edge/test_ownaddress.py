"""Which of our addresses the kernel would send from."""

import subprocess
from ipaddress import ip_address

import pytest

from mta.edge.ownaddress import own_address


@pytest.mark.parametrize("version", [4, 6])
def test_it_is_one_of_this_machine_or_there_is_none(version: int) -> None:
    address = own_address(version)

    if address is None:
        return
    assert ip_address(address).version == version
    shown = subprocess.run(["ip", f"-{version}", "addr"], capture_output=True, text=True)
    assert shown.returncode != 0 or f" {address}/" in shown.stdout
