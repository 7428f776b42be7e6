"""Which failures of the direct road open the second one, and under what name."""

import re
from enum import StrEnum

from mta.model.outcome import Outcome, Scope, Stage, Verdict


class Reason(StrEnum):
    """Why the direct road is shut."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    BLOCKED = "blocked"


# Words with which receivers refuse an address of ours rather than a recipient of theirs.
_BLOCKED = re.compile(
    r"block ?list|black ?list|deny ?list|\bblocked\b|\bbanned\b|\bdns(?:b|w)?l\b|\brbl\b|spamhaus"
    r"|barracuda|reputation|\bS31[45]0\b|listed (?:at|by|in|on)|dynamic (?:ip|address)|residential",
    re.IGNORECASE,
)
# The same words said of a recipient, as in "mailbox is blocked" and "user not listed in", or of
# what is in the message: true on every road.
_NOT_OURS = re.compile(
    r"\b(?:mailbox|user|account|recipient)(?: [^\s:;]+){0,4}?"
    r" (?:blocked|banned|black ?listed|listed)\b"
    r"|\b(?:content|attachment|virus|malware)\b",
    re.IGNORECASE,
)
_NO_SUCH_REVERSE_NAME = ("5.7.25", "4.7.25")  # RFC 7372 §3.3


def reason_to_fall_back(outcome: Outcome) -> Reason | None:
    """Why the second road is open to a recipient with this outcome; None where it is not.

    Never after an ambiguous final dot, and never for what is true on every road: a domain or a
    recipient that does not exist.
    """
    if outcome.verdict is Verdict.DELIVERED or outcome.may_have_arrived:
        return None
    if outcome.is_from_peer and outcome.stage is not Stage.TLS:
        return Reason.BLOCKED if _blames_our_address(outcome) else None
    if outcome.scope is not Scope.DESTINATION or outcome.verdict is not Verdict.DEFERRED:
        return None  # another message, or another try, may well get through
    return _BY_STAGE.get(outcome.stage)


_BY_STAGE = {
    Stage.LOOKUP: Reason.DNS,
    Stage.CONNECT: Reason.CONNECT,
    Stage.GREETING: Reason.CONNECT,  # connected to something that never spoke
    Stage.HELLO: Reason.CONNECT,
    Stage.TLS: Reason.TLS,
}


def _blames_our_address(outcome: Outcome) -> bool:
    reply = outcome.reply
    if outcome.stage in (Stage.GREETING, Stage.HELLO) and outcome.verdict is Verdict.FAILED:
        return True  # refused before it knew anything of us but our address
    if reply.status in _NO_SUCH_REVERSE_NAME:
        return True
    # Without 7 (security and policy) as its subject the words speak of something else;
    # servers without enhanced codes say 0.
    if reply.subject not in (0, 7) or _NOT_OURS.search(reply.text):
        return False
    return _BLOCKED.search(reply.text) is not None
