"""The sandbox on a thread of its own, for those who are not async."""

import asyncio
import threading
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import dns.exception
import dns.resolver

from mta.sandbox.characters import CHARACTERS, Character
from mta.sandbox.exchangers import Exchanger, Received
from mta.sandbox.loopback import SandboxError
from mta.sandbox.world import World

T = TypeVar("T")

DNS_LIMIT = 5.0  # seconds


class Internet:
    """A world that runs while this is entered; what it asks of the world, it asks in its thread."""

    def __init__(self, folder: Path, characters: Sequence[Character] = CHARACTERS) -> None:
        self.world = World(folder, characters)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="internet")

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._do(self.world.__aenter__(), 20)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._do(self.world.__aexit__(kind, error, trace), 20)
        finally:
            self._end()

    def exchanger(self, domain: str) -> Exchanger:
        """The first of a domain's exchangers that answers."""
        return self.world.exchangers[domain][0]

    def mail(self, domain: str, count: int = 1, within: float = 30.0) -> list[Received]:
        """Wait until the domain's exchanger has taken `count` messages; gives all it has."""
        there = self.exchanger(domain)
        try:
            return self._do(there.until(count), within)
        except TimeoutError:
            raise SandboxError(
                f"{domain} has {len(there.mail)} messages after {within} s, not {count}"
            ) from None

    def mail_to(self, recipient: str, within: float = 30.0) -> Received:
        """Wait until a message has come for this recipient; gives the first."""
        domain = recipient.rpartition("@")[2]
        ends_at = time.monotonic() + within
        came = self.received(domain)
        while not any(recipient in mail.recipients for mail in came):
            came = self.mail(domain, len(came) + 1, ends_at - time.monotonic())
        return next(mail for mail in came if recipient in mail.recipients)

    def received_by(self, domain: str, recipient: str) -> list[Received]:
        """What the domain's exchangers have taken for this recipient so far."""
        return [mail for mail in self.received(domain) if recipient in mail.recipients]

    def received(self, domain: str) -> list[Received]:
        """What the first of the domain's exchangers that answers has taken so far."""
        return [mail for there in self.world.exchangers.get(domain, ())[:1] for mail in there.mail]

    def text_record(self, name: str) -> bytes | None:
        """What a DNS query for the name's TXT record brings; None without one."""
        resolver = dns.resolver.Resolver(configure=False)
        nameserver, resolver.port = self.world.dns.address
        resolver.nameservers = [nameserver]
        try:
            answer = resolver.resolve(name, "TXT", lifetime=DNS_LIMIT)
        except dns.exception.DNSException:
            return None
        return b"".join(answer[0].strings)

    def _do(self, what: Coroutine[Any, Any, T], within: float) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(within):
                return await what

        return asyncio.run_coroutine_threadsafe(bounded(), self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
