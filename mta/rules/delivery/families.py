"""IPv4, IPv6, or both: which may be used, by what the DNS says of our own addresses.

Large receivers refuse mail from an IPv6 address without a reverse name that leads back to it
(Google's sender guidelines say so), and frown at such an IPv4 address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import chain, zip_longest

from mta.model.domain import Answer, Finding

IpAddress = IPv4Address | IPv6Address

MAX_NAMES = 5  # of one address that are looked up


class Ipv6(StrEnum):
    """When mail goes out over IPv6."""

    AUTO = "auto"  # where our reverse name holds, or a host has nothing else
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Families:
    """The IP versions that may be used, the one to try first in front.

    `spare` are those for hosts that have no other, and for those that nobody but us can see.
    """

    usable: tuple[int, ...] = (4, 6)
    spare: tuple[int, ...] = ()

    def in_order(self, addresses: Sequence[IpAddress]) -> list[IpAddress]:
        """Those of a host's addresses that may be tried; the versions take turns.

        So both are tried soon.
        """
        chosen = [ip for ip in addresses if ip.version in self.usable or self._is_near(ip)]
        if not chosen:
            chosen = [ip for ip in addresses if ip.version in self.spare]
        by_version = [
            [ip for ip in chosen if ip.version == version]
            for version in (*self.usable, *self.spare)
        ]
        return [ip for ip in chain.from_iterable(zip_longest(*by_version)) if ip is not None]

    def _is_near(self, ip: IpAddress) -> bool:
        """Whether it is on our own network, where reverse names are nobody's concern."""
        return ip.version in self.spare and not ip.is_global


# IPv4 comes first: reputation and reverse names are more often in order there, and where we have
# none it fails at once.
BOTH = Families()


class Standing(StrEnum):
    """What the DNS says of one of our addresses."""

    CONFIRMED = "confirmed"  # its reverse name leads back to it
    NAMELESS = "nameless"  # it has no reverse name
    UNCONFIRMED = "unconfirmed"  # it has one that leads elsewhere
    UNKNOWN = "unknown"  # the DNS could not be asked
    PRIVATE = "private"  # the world sees another address: there is a translation (NAT)
    ABSENT = "absent"  # there is no address of this version


@dataclass(frozen=True, slots=True)
class Papers:
    """One of our addresses, and what the DNS says of it: `names` it has, `text` in words.

    `address` is "" where there is none of this version.
    """

    version: int
    address: str
    standing: Standing
    names: tuple[str, ...] = ()
    text: str = ""


def names_to_confirm(pointers: Answer[str]) -> tuple[str, ...]:
    """The names of an address that are worth a look: a peer looks at few as well."""
    return pointers.records[:MAX_NAMES]


def papers_of(address: str, pointers: Answer[str], forward: Mapping[str, Answer[str]]) -> Papers:
    """What the DNS says of `address`: its `pointers`, and the addresses of each of these names."""
    version = ip_address(address).version
    names = names_to_confirm(pointers)
    if pointers.finding is Finding.UNKNOWN:
        text = f"the reverse name of {address} cannot be looked up now: {pointers.text}"
        return Papers(version, address, Standing.UNKNOWN, text=text)
    if not names:
        return Papers(version, address, Standing.NAMELESS, text=f"{address} has no reverse name")
    for name in names:
        if any(_is_same(found, address) for found in forward[name].records):
            text = f"{address} is {name}"
            return Papers(version, address, Standing.CONFIRMED, names, text)
    unknown = [name for name in names if forward[name].finding is Finding.UNKNOWN]
    if unknown:
        text = f"the addresses of {unknown[0]} cannot be looked up now: {forward[unknown[0]].text}"
        return Papers(version, address, Standing.UNKNOWN, names, text)
    found = ", ".join(forward[names[0]].records[:MAX_NAMES]) or "no address"
    text = f"{address} has the reverse name {names[0]}, and that name has {found}"
    return Papers(version, address, Standing.UNCONFIRMED, names, text)


def unseen(version: int, address: str | None) -> Papers:
    """What there is to say of an address that the world does not see, or None."""
    if address is None:
        return Papers(version, "", Standing.ABSENT, text=f"there is no way out over IPv{version}")
    text = f"{address} is private: the world sees an address that is not known here"
    return Papers(version, address, Standing.PRIVATE, text=text)


def families_for(ipv6: Ipv6, papers: Sequence[Papers]) -> Families:
    """What may be used, where the settings say `ipv6` and the DNS says this of our addresses.

    A host without IPv4 is tried over IPv6 whatever our names are: it may not ask for them, and
    mail that waits would not come nearer to it.
    """
    if ipv6 is Ipv6.NEVER:
        return Families((4,))
    four, six = ([one.standing for one in papers if one.version == version] for version in (4, 6))
    if ipv6 is Ipv6.ALWAYS or (six and all(one is Standing.CONFIRMED for one in six)):
        return BOTH
    if six and Standing.ABSENT not in six and set(four) <= {Standing.ABSENT}:
        return Families((6,), (4,))
    return Families((4,), (6,))


def objection_to(papers: Papers, ipv6: Ipv6) -> str | None:
    """What an operator should hear of an address of ours, and what comes of it; or None."""
    if papers.standing not in (Standing.NAMELESS, Standing.UNCONFIRMED, Standing.UNKNOWN):
        return None
    if papers.version == 6 and ipv6 is Ipv6.NEVER:
        return None
    if papers.version == 6 and ipv6 is Ipv6.AUTO:
        return f"{papers.text}; hosts that have IPv4 too get no mail over IPv6"
    if papers.standing is Standing.UNKNOWN:
        return papers.text
    return f"{papers.text}; large receivers expect one that leads back to it, and refuse mail"


def _is_same(text: str, address: str) -> bool:
    return ip_address(text) == ip_address(address)
