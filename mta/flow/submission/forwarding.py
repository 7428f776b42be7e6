"""Mail of others that we pass on: who brings it, its sender from here on, and its seal."""

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace

from mta.model.address import Address
from mta.model.envelope import Client, Submission
from mta.model.listener import Network
from mta.model.outcome import Reply
from mta.model.trouble import SigningError

from mta.rules.message.arc import Findings, Sealer, seal_fields
from mta.rules.message.headers import read_header
from mta.rules.message.srs import Srs

from mta.flow.ports import Clock

log = logging.getLogger(__name__)

LIMIT = 20.0  # seconds until a message that cannot be verified goes on without a seal


@dataclass(frozen=True, slots=True)
class Forwarders:
    """Who passes mail on: those who log in as `users`, and clients in `networks`."""

    users: Collection[str] = ()
    networks: Sequence[Network] = ()

    def has(self, client: Client) -> bool:
        """Whether this is one of them."""
        if client.user:
            return client.user in self.users
        try:
            address = ipaddress.ip_address(client.address)
        except ValueError:  # a user of this machine, or ourselves
            return False
        return any(address in network for network in self.networks)


class Forwarding:
    """What is done with it; without a `sealer` nothing is sealed, without `srs` no sender changed.

    `verify` finds out what a message's signatures are worth.
    """

    def __init__(
        self,
        *,
        forwarders: Forwarders,
        sealer: Sealer | None,
        srs: Srs | None,
        verify: Callable[[bytes], Awaitable[Findings]],
        clock: Clock,
    ) -> None:
        self._forwarders = forwarders
        self._sealer = sealer
        self._srs = srs
        self._verify = verify
        self._clock = clock

    def is_by(self, client: Client) -> bool:
        """Whether what this client brings is passed on."""
        return self._forwarders.has(client)

    def objection_to_recipient(self, recipient: Address) -> Reply | None:
        """Why mail to an address that looks like a rewritten sender's is not taken."""
        if self._srs is None or not self._srs.is_ours(recipient):
            return None
        found = self._srs.reverse(recipient, self._clock())
        if isinstance(found, Address):
            return None
        return Reply(550, f"No such rewritten sender: {found}", 1, 1)

    def readdressed(self, submission: Submission) -> Submission:
        """The same message from whom we send it on, and to whom its rewritten senders were."""
        if self._srs is None:
            return submission
        sender, recipients = submission.sender, submission.recipients
        if any(map(self._srs.is_ours, recipients)):
            recipients = tuple(map(self._first_sender, recipients))
        if sender is not None and self.is_by(submission.client):
            sender = self._rewritten(sender, self._srs)
        return replace(submission, sender=sender, recipients=recipients)

    def _first_sender(self, recipient: Address) -> Address:
        assert self._srs is not None
        if not self._srs.is_ours(recipient):
            return recipient
        found = self._srs.reverse(recipient, self._clock())
        return found if isinstance(found, Address) else recipient

    def _rewritten(self, sender: Address, srs: Srs) -> Address:
        rewritten = srs.forward(sender, self._clock())
        if rewritten is None:
            log.warning("%s is too long to be rewritten, and goes on as it is", sender)
        return rewritten or sender

    async def seal(self, came: bytes, content: bytes) -> bytes:
        """The fields that seal `content`, which is to be sent on and was `came`; b"" for none.

        Raises SigningError.
        """
        if self._sealer is None:
            return b""
        try:
            async with asyncio.timeout(LIMIT):
                findings = await self._verify(came)
        except TimeoutError:
            raise SigningError(f"not sealed: it could not be verified within {LIMIT:g} s") from None
        now = int(self._clock())
        return await asyncio.to_thread(
            seal_fields, read_header(content), findings, self._sealer, now
        )
