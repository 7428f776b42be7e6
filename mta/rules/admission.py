"""May this client send this, from here, to there?"""

from collections.abc import Collection

from mta.model.address import Address
from mta.model.outcome import Reply


def objection_to_sender(sender: Address | None, senders: Collection[str]) -> Reply | None:
    """Why mail from `sender` is not taken; `senders` are the domains that are ours, empty for any.

    The null sender passes: reports have no other (RFC 5321 §4.5.5).
    """
    if sender is None or not senders or sender.domain in senders:
        return None
    return Reply(550, f"{sender.domain} is not one of this server's sender domains", 7, 1)
