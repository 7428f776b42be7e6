"""A sender of its own for each recipient, so that whatever comes back says whom it is about.

Variable envelope return paths, in the form that Postfix gives them: list@example.com to
bob@there.test is list+bob=there.test@example.com.
"""

import re
from dataclasses import replace

from mta.model.address import Address
from mta.model.envelope import Envelope

MAX_LOCAL = 64  # octets before the @, RFC 5321 §4.5.3.1.1

_PLAIN = re.compile(r"[^\"\\\[\]]+")  # quotes and literals have no place within a local part


def verp_sender(sender: Address, recipient: Address) -> Address:
    """The sender that `recipient` sees; `sender` itself where that would be no address."""
    local = f"{sender.local}+{recipient.local}={recipient.domain}"
    is_fit = recipient.is_ascii and len(local.encode()) <= MAX_LOCAL and _PLAIN.fullmatch(local)
    return replace(sender, local=local) if is_fit else sender


def sender_to(envelope: Envelope, place: int) -> Address | None:
    """The sender that the recipient at this place sees, and that hears of its fate."""
    if envelope.sender is None or not envelope.request.is_verp:
        return envelope.sender
    return verp_sender(envelope.sender, envelope.recipients[place].address)
