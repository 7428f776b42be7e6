"""Who counts as one client, where clients are counted."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network


@lru_cache(4_096)
def site_of(address: str) -> str:
    """What a client's address is counted as: IPv6 by its /64, which one host has to itself.

    What is no IP address, as "unix:1000", stands for itself.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(ip_network((found, 64), strict=False))
    return str(found)
