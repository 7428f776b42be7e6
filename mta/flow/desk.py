"""Takes orders: judges a message as at the other doors, and gives a receipt for it."""

from collections.abc import Callable

from mta.model.envelope import MessageId
from mta.model.order import Order, Receipt, Taking
from mta.model.outcome import Reply

from mta.rules.headers import message_id, read_header

from mta.flow.intake import Intake
from mta.flow.ports import Spool


class Desk:
    """The way in for programs that ask after their messages."""

    def __init__(self, *, intake: Intake, spool: Spool, new_id: Callable[[], MessageId]) -> None:
        self._intake = intake
        self._spool = spool
        self._new_id = new_id

    def objection(self) -> str | None:
        """Why no message can be taken now, in words; None if one can."""
        return self._spool.objection(0)

    @property
    def queue_length(self) -> int:
        """How many messages wait."""
        return self._spool.count

    async def submit(self, order: Order) -> Receipt:
        """Take a message, or say why not; all of its recipients, or none."""
        objection = self._objection(order)
        if objection is not None:
            return Receipt(Taking.REFUSED, objection)
        id = self._new_id()
        reply = await self._intake.accept(order.submission, id)
        if not reply.is_positive:
            return Receipt(Taking.REFUSED, reply)
        own = message_id(read_header(order.submission.content))
        return Receipt(Taking.TAKEN, reply, id, own or self._intake.message_id(id))

    def _objection(self, order: Order) -> Reply | None:
        submission, intake = order.submission, self._intake
        sender, client = submission.sender, submission.client
        objection = intake.objection_to_sender(sender, len(submission.content), client)
        for count, recipient in enumerate(submission.recipients, start=1):
            if objection is None:
                objection = intake.objection_to_recipient(sender, recipient, count, client)
        return objection
