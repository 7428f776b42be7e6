"""Takes orders: judges a message as at the other doors, and gives a receipt for it."""

from dataclasses import replace

from mta.model.envelope import MessageId
from mta.model.order import Order, Receipt, Taking
from mta.model.trace import Trace

from mta.flow.ports import Spool
from mta.flow.submission.intake import Intake
from mta.flow.submission.register import Register


class Desk:
    """The way in for programs that ask after their messages."""

    def __init__(self, *, intake: Intake, spool: Spool, register: Register) -> None:
        self._intake = intake
        self._spool = spool
        self._register = register

    def objection(self) -> str | None:
        """Why no message can be taken now, in words; None if one can."""
        return self._spool.objection(0)

    @property
    def queue_length(self) -> int:
        """How many messages wait."""
        return self._spool.count

    async def submit(self, order: Order) -> Receipt:
        """Take a message, or say why not; all of its recipients, or none."""
        objection = self._intake.objection_to_envelope(order.submission)
        if objection is None:
            receipt = await self._intake.order(order)
        else:
            receipt = Receipt(Taking.REFUSED, objection)
        if receipt.taking is not Taking.REFUSED or receipt.reply.code >= 500:
            return receipt
        return replace(receipt, retry_after=self._intake.wait_for(order.submission))

    async def trace(self, id: MessageId, user: str) -> Trace | None:
        """What became of a message of this user's, None where there is none; or LedgerError."""
        return await self._register.trace(id, user)
