"""A small Internet on loopback, and an application in it whose server `mta serve` is to be.

A DNS server, and the mail exchangers that it names. All that they make stands in one folder:

    config.yaml     settings for `mta serve` in this world
    mail/DOMAIN/    what the exchangers took: NNN.eml as it came, NNN.json its envelope
    keys/           the application's DKIM key
    tls/            the certificate of the exchangers, vouched for by nobody
    spool/          the server's own
"""

import ipaddress
import ssl
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mta.rules.message.dkimrecord import DkimRecord

from mta.edge.certificates import ensure_self_signed
from mta.edge.keys import load_key, new_key

from mta.sandbox.characters import (
    CHARACTERS,
    SENDER,
    SENDER_DOMAIN,
    SMARTHOST,
    SMARTHOST_LOGIN,
    Character,
)
from mta.sandbox.dns import NULL_MX, DnsServer, Records
from mta.sandbox.exchangers import Exchanger, Manners
from mta.sandbox.loopback import listeners

SELECTOR = "sandbox"
HOSTNAME = f"mail.{SENDER_DOMAIN}"
HOME = "127.0.0.1"  # the server's own address; each exchanger has one after it


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one exchanger is; `manners` is None where nothing listens."""

    domain: str
    name: str
    address: str
    manners: Manners | None


class World:
    """Runs while it is entered: `async with World(folder) as world`.

    `exchangers` are those that answer, by domain, in order of preference; all listen on `port`.
    Entering raises SandboxError where the system has no room for them.
    """

    def __init__(self, folder: Path, characters: Sequence[Character] = CHARACTERS) -> None:
        self.folder = folder.resolve()
        self.characters = tuple(characters)
        self.exchangers: dict[str, list[Exchanger]] = {}
        self.port = 0
        self.dns = DnsServer({})
        self._dkim_key = self.folder / "keys" / f"{SENDER_DOMAIN}.{SELECTOR}.pem"
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            places = _places([*self.characters, SENDER, SMARTHOST])
            await self._start_exchangers(places, stack)
            self.dns.zone |= _mail_records(self.characters, places)
            self.dns.zone |= _sender_records(_dkim_record(self._dkim_key))
            await stack.enter_async_context(self.dns)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def settings(self, listen: str = f"{HOME}:0") -> dict[str, Any]:
        """Settings for `mta serve` in this world, as YAML has them; change them at will."""
        nameserver, port = self.dns.address
        return {
            "hostname": HOSTNAME,
            "spool": str(self.folder / "spool"),
            "listen": [{"address": listen}],
            "admin": {"address": f"{HOME}:0"},
            "delivery": {
                "mode": "fallback",
                "smarthost": self._smarthost(),
                "port": self.port,
                "private_addresses": True,
                "retry": ["1s", "2s"],
                "give_up_after": "8s",
                "timeouts": {"final_dot": "4s"},
            },
            "dns": {"nameservers": [f"{nameserver}:{port}"]},
            "dkim": [{"domain": SENDER_DOMAIN, "selector": SELECTOR, "key": str(self._dkim_key)}],
        }

    def _smarthost(self) -> dict[str, Any]:
        username, password = SMARTHOST_LOGIN
        return {
            "host": _host_name(SMARTHOST.domain, 1),
            "port": self.port,
            "verify": False,  # its certificate is self-signed
            "username": username,
            "password": password,
        }

    async def _start_exchangers(self, places: Sequence[_Place], stack: AsyncExitStack) -> None:
        bound = listeners([place.address for place in places])
        for listener in bound:
            stack.callback(listener.close)
        self.port = bound[0].getsockname()[1]
        tls = _self_signed(self.folder / "tls")
        for place, listener in zip(places, bound, strict=True):
            if place.manners is None:
                continue  # bound and not listening: connections are refused
            folder = self.folder / "mail" / place.domain
            exchanger = Exchanger(place.name, place.manners, tls=tls, folder=folder)
            self.exchangers.setdefault(place.domain, []).append(exchanger)
            await exchanger.start(listener)
            stack.push_async_callback(exchanger.close)


def _self_signed(folder: Path) -> ssl.SSLContext:
    """One certificate for all exchangers, vouched for by nobody, as many have one."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(
        *ensure_self_signed(folder, _host_name(SMARTHOST.domain, 1), time.time())
    )
    return context


def _places(characters: Sequence[Character]) -> list[_Place]:
    """An address of its own for each exchanger, one after the other from HOME on."""
    hosts = [
        (character.domain, _host_name(character.domain, preference), manners)
        for character in characters
        if character.exists
        for preference, manners in enumerate(character.hosts, start=1)
    ]
    home = ipaddress.IPv4Address(HOME)
    return [
        _Place(domain, name, str(home + number), manners)
        for number, (domain, name, manners) in enumerate(hosts, start=1)
    ]


def _host_name(domain: str, preference: int) -> str:
    return f"mx{preference}.{domain}"


def _mail_records(characters: Sequence[Character], places: Sequence[_Place]) -> dict[str, Records]:
    zone = {place.name: Records(a=(place.address,)) for place in places}
    for domain in (character.domain for character in characters if character.exists):
        names = [place.name for place in places if place.domain == domain]
        zone[domain] = Records(mx=tuple(enumerate(names, start=1)) or NULL_MX)
    return zone


def _sender_records(dkim: DkimRecord) -> dict[str, Records]:
    """What a domain publishes that sends mail in earnest."""
    spf = f"v=spf1 ip4:{HOME} -all"
    dmarc = f"v=DMARC1; p=reject; adkim=r; rua=mailto:postmaster@{SENDER_DOMAIN}"
    exchange = ((1, _host_name(SENDER_DOMAIN, 1)),)
    return {
        SENDER_DOMAIN: Records(mx=exchange, txt=(spf,)),
        HOSTNAME: Records(a=(HOME,), mx=exchange, txt=(spf,)),
        f"_dmarc.{SENDER_DOMAIN}": Records(txt=(dmarc,)),
        dkim.name: Records(txt=(dkim.value,)),
    }


def _dkim_record(path: Path) -> DkimRecord:
    """What to publish for the key in this file, which is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    key = load_key(path) if path.exists() else new_key(path)
    return DkimRecord(SENDER_DOMAIN, SELECTOR, key.public)
