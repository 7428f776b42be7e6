"""May this client send this, from here, to there?

Who sends to whom is read off the addresses as they stand: nothing in a local part, be it a
percent sign, a bang, a quoted @ or a route, ever names another host (RFC 5321 §3.6.1). So who
may send may send anywhere, and nobody else may send at all.
"""

from collections.abc import Collection

from mta.model.address import Address
from mta.model.outcome import Reply
from mta.model.user import User


def objection_to_sender(
    sender: Address | None, senders: Collection[str], user: User | None = None
) -> Reply | None:
    """Why mail from `sender` is not taken; `senders` are the domains that are ours, empty for any.

    A user who has senders of his own may send from these, and from no others. The null sender
    passes: reports have no other (RFC 5321 §4.5.5).
    """
    if sender is None:
        return None
    if user is not None and user.senders:
        return _objection_of(user, sender)
    if not senders or sender.domain in senders:
        return None
    return Reply(550, f"{sender.domain} is not one of this server's sender domains", 7, 1)


def objection_to_author(author: Address | None, user: User | None) -> Reply | None:
    """Why a user may not write in this name: we would sign it with the key of its domain.

    `author` is the first mailbox in From, whose domain's key signs.
    """
    if author is None or user is None or not user.senders:
        return None
    return _objection_of(user, author)


def _objection_of(user: User, sender: Address) -> Reply | None:
    # Postfix and others take local parts for the same in any case, and so does whoever lists them.
    mailbox = f"{sender.local.lower()}@{sender.domain}"
    if sender.domain in user.senders or mailbox in user.senders:
        return None
    return Reply(550, f"{user.name} may not send from {sender}", 7, 1)
