"""A message as an application thinks of it: before it is text on the wire.

Its parts are checked where they come in: no control character in any text that becomes part of
a header.
"""

from mta.model.address import Address
from mta.model.value import value


@value
class Mailbox:
    """An address and the name that stands before it, "" for none."""

    address: Address
    name: str = ""


@value
class Attachment:
    """A file. With a `content_id` it is shown where the HTML says `cid:` and that word."""

    content: bytes
    content_type: str = "application/octet-stream"
    filename: str = ""
    content_id: str = ""


@value
class Draft:
    """What a message says, and who is named in it; the hidden recipients are not.

    `headers` are further fields in their order, none of those that the other parts make.
    """

    sender: Mailbox
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    reply_to: tuple[Mailbox, ...] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
