"""An open conversation with a peer, as the flow knows it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from mta.model.address import Address
from mta.model.domain import Host, TlsFacts
from mta.model.envelope import Letter
from mta.model.outcome import Outcome, Verdict

from mta.rules.delivery.limits import NO_LIMITS, within

from mta.edge.smtpclient.conversation import Conversation
from mta.edge.smtpclient.transaction import Transaction
from mta.edge.smtpclient.wishes import has_wishes, is_not_understood


class SmtpSession:
    """Carries letters, one after the other: `send` is not to be called while it runs."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._limits = conversation.offers.limits
        self._mails = 0  # transactions begun
        self._domains: set[str] = set()  # of recipients, where the peer limits them

    @property
    def host(self) -> Host:
        """Where it leads."""
        return self._conversation.host

    @property
    def tls(self) -> TlsFacts | None:
        """What protects it."""
        return self._conversation.tls

    @property
    def is_usable(self) -> bool:
        """Whether another letter may be sent: never after a 421, a breakdown or a stray reply.

        And not after as many as the peer takes.
        """
        most = self._limits.mails
        return self._conversation.wire.is_in_step and (most is None or self._mails < most)

    @property
    def has_limits(self) -> bool:
        """Whether the peer says how much it takes (RFC 9422)."""
        return self._limits is not NO_LIMITS

    def within_limits(self, places: Sequence[int], recipients: Sequence[Address]) -> list[int]:
        """Those of the recipients at these places that the next letter may be for."""
        return within(self._limits, places, recipients, mails=self._mails, domains=self._domains)

    async def send(self, letter: Letter) -> tuple[Outcome, ...]:
        """One transaction, or a second without DSN: an outcome for each recipient, in their order.

        Never raises for anything that the peer does. Cancellation before the final dot breaks
        the session off. After it, until the reply or its time limit, cancellation is absorbed
        and the outcomes are returned: what became of the message must not be lost. The caller
        finds the request in `asyncio.Task.cancelling`.
        """
        talk = self._conversation
        outcomes = await self._carry(letter)
        if not (talk.offers.has_dsn and has_wishes(letter)):
            return outcomes
        places = [place for place, one in enumerate(outcomes) if is_not_understood(one)]
        return await self._without_wishes(letter, outcomes, places) if places else outcomes

    async def _carry(self, letter: Letter) -> tuple[Outcome, ...]:
        self._mails += 1
        if self._limits.domains is not None:
            self._domains.update(recipient.domain for recipient in letter.recipients)
        return await Transaction(self._conversation, letter).outcomes()

    async def _without_wishes(
        self, letter: Letter, outcomes: Sequence[Outcome], places: Sequence[int]
    ) -> tuple[Outcome, ...]:
        """The outcomes, after another transaction for these places.

        The peer offers DSN and did not understand what it was told of it. That is no reason for
        a recipient to go without mail: it is told nothing of the kind again.
        """
        talk, found = self._conversation, dict(enumerate(outcomes))
        talk.offers = replace(talk.offers, has_dsn=False)
        found |= {place: replace(found[place], verdict=Verdict.DEFERRED) for place in places}
        task = asyncio.current_task()
        if self.is_usable and not (task and task.cancelling()):
            # Others may have their message already: what became of them must not be lost.
            with suppress(asyncio.CancelledError):
                again = await self._carry(letter.part(places))
                found |= zip(places, again, strict=True)
        return tuple(found.values())

    async def close(self) -> None:
        """Say QUIT if that can be done quickly, and close. Never raises."""
        await self._conversation.wire.hang_up(self._conversation.timeouts.quit)
