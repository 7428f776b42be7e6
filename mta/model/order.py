"""A message handed in by a program that wants to know what became of it, and what it is told."""

from enum import StrEnum

from mta.model.envelope import MessageId, Submission
from mta.model.outcome import Reply
from mta.model.value import value


@value
class Order:
    """A message, and the key by which the same one, sent again, is known (`key` is "" for none).

    `digest` is that of all that was asked: the same key with another one is a conflict.
    """

    submission: Submission
    key: str = ""
    digest: bytes = b""
    is_strict: bool = False  # to be refused where there are warnings


@value
class Caveat:
    """What will surprise about a message that is taken all the same; `code` is a word for it."""

    code: str
    text: str


class Taking(StrEnum):
    """What became of an order."""

    TAKEN = "taken"
    REPEATED = "repeated"  # the same was taken before, and is not taken again
    CONFLICT = "conflict"  # the key came before, with something else
    REFUSED = "refused"


@value
class Receipt:
    """What is said to an order: the reply is that which SMTP would give.

    `id` is "" where nothing was taken. `message_id` is the field Message-ID of what was.
    """

    taking: Taking
    reply: Reply
    id: MessageId = MessageId("")
    message_id: str = ""
    warnings: tuple[Caveat, ...] = ()
    retry_after: float = 0.0  # seconds, where another try is worth it
