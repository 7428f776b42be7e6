"""Where our connections come from."""

from dataclasses import dataclass
from ipaddress import ip_address


@dataclass(frozen=True, slots=True)
class Source:
    """One of our own IP addresses, and what we call ourselves in EHLO when we come from it.

    `hostname` is "" for the server's own. `weight` is its share of the destinations: one of
    weight 2 gets twice as many as one of weight 1.
    """

    address: str
    hostname: str = ""
    weight: int = 1

    @property
    def version(self) -> int:
        """4 or 6."""
        return ip_address(self.address).version
