"""What a client may ask for beyond plain delivery: of a whole message, and for one recipient."""

from enum import StrEnum

from mta.model.value import value


class Returned(StrEnum):
    """How much of a message comes back with the report of a failure (RFC 3461 §4.3)."""

    FULL = "FULL"
    HEADERS = "HDRS"


class Notice(StrEnum):
    """When a recipient's fate is to be told to the sender (RFC 3461 §4.1)."""

    NEVER = "NEVER"  # stands alone
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


UNASKED = frozenset({Notice.FAILURE, Notice.DELAY})  # what is told where nothing was said


class Late(StrEnum):
    """What becomes of a message whose deadline has passed (RFC 2852 §4)."""

    RETURN = "R"  # it fails, and its sender is told
    NOTIFY = "N"  # it is delivered all the same, and its sender is told once that it is late
    DROP = "D"  # it fails, and nobody is told; SMTP has no word for it, nor for:
    FAIL = "F"  # as R, but peers need not know of it: the deadline ends with us


@value
class Deadline:
    """The moment by which a message is to be delivered, in Unix seconds.

    `is_traced`: each server on the way tells the sender that it passed the message on.
    """

    at: float
    if_late: Late = Late.RETURN
    is_traced: bool = False


@value
class MessageRequest:
    """What the client asks of a message as a whole.

    `returned` is None where it left that to us. `envelope_id` is xtext as it was written (RFC 3461
    §4.4), "" for none. `needs_tls` is REQUIRETLS (RFC 8689), and `waives_tls` its opposite, the
    header field "TLS-Required: No". `hold_until` is in Unix seconds (RFC 4865), 0 for no hold.
    `priority` is -9 to 9 (RFC 6710). `is_bulk`: one of many that are alike, and may wait for mail
    that somebody waits for. `is_verp`: each recipient sees a sender of its own (XVERP).
    `tags` and `metadata` are the client's own words, for events and routes alone.
    """

    returned: Returned | None = None
    envelope_id: str = ""
    needs_tls: bool = False
    waives_tls: bool = False
    hold_until: float = 0.0
    deadline: Deadline | None = None
    priority: int = 0
    is_bulk: bool = False
    is_verp: bool = False
    tags: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()


@value
class RecipientRequest:
    """What the client asks for one recipient.

    `notices` is None where it left that to us: failure and delay are told then. `original` is
    ORCPT as it was written: a type, a semicolon and xtext (RFC 3461 §4.2), "" for none.
    """

    notices: frozenset[Notice] | None = None
    original: str = ""

    def wants(self, notice: Notice) -> bool:
        """Whether the sender is to be told this."""
        return notice in (UNASKED if self.notices is None else self.notices)


NOTHING = MessageRequest()  # what nearly every client asks
NOTHING_FOR_RECIPIENT = RecipientRequest()
