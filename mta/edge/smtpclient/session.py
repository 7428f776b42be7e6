"""An open conversation with a peer, as the flow knows it."""

from mta.model.domain import Host, TlsFacts
from mta.model.envelope import Letter
from mta.model.outcome import Outcome

from mta.edge.smtpclient.conversation import Conversation
from mta.edge.smtpclient.transaction import Transaction


class SmtpSession:
    """Carries letters, one after the other: `send` is not to be called while it runs."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

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
        """Whether another letter may be sent: never after a 421, a breakdown or a stray reply."""
        return self._conversation.wire.is_in_step

    async def send(self, letter: Letter) -> tuple[Outcome, ...]:
        """One transaction: an outcome for each recipient, in their order.

        Never raises for anything that the peer does. Cancellation before the final dot breaks
        the session off. After it, until the reply or its time limit, cancellation is absorbed
        and the outcomes are returned: what became of the message must not be lost. The caller
        finds the request in `asyncio.Task.cancelling`.
        """
        return await Transaction(self._conversation, letter).outcomes()

    async def close(self) -> None:
        """Say QUIT if that can be done quickly, and close. Never raises."""
        await self._conversation.wire.hang_up(self._conversation.timeouts.quit)
