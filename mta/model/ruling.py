"""What a refusal is taken for: its cause, the rule that says so, and what to do about it."""

from enum import StrEnum

from mta.model.value import value


class Cause(StrEnum):
    """Why mail was not taken. Only the first two are about the recipient."""

    RECIPIENT_GONE = "recipient-gone"  # no such mailbox or domain, or one that takes no mail
    MAILBOX_FULL = "mailbox-full"
    SENDER_BLOCKED = "sender-blocked"  # an address or a domain of ours, by its reputation
    AUTHENTICATION = "authentication"  # SPF, DKIM, DMARC or a reverse name of ours
    CONTENT = "content"  # what is in the message, or its size
    RATE = "rate"  # too much, too fast
    POLICY = "policy"  # the receiver's own rules, which are none of the above
    NETWORK = "network"  # a host, or the way to it, is in trouble that passes
    OURS = "ours"  # our settings, our disk, our protocol


class Response(StrEnum):
    """What to do beyond what the reply's code says by itself."""

    NOTHING = "nothing"  # 4yz is tried again, 5yz has failed
    SLOW = "slow"  # less to this site, for a time
    PAUSE = "pause"  # nothing to this site, for a time
    REROUTE = "reroute"  # by the second road at once, where there is one
    HOLD = "hold"  # keep it though it was refused for good, and tell the operator: ours to mend
    FAIL = "fail"  # failed, though the code says that it may pass


@value
class Ruling:
    """What one refusal means. `rule` is the id of the rule that matched.

    `seconds` says for how long a site is slowed or left in peace, or how long mail that is held
    waits between attempts; 0 where that is nobody's wish.
    """

    cause: Cause
    rule: str
    response: Response = Response.NOTHING
    seconds: float = 0.0

    @property
    def is_of_our_address(self) -> bool:
        """Whether an address of ours is shut out, for all of its mail to that site."""
        return self.cause is Cause.SENDER_BLOCKED and self.response in _OF_AN_ADDRESS

    @property
    def opens_second_road(self) -> bool:
        """Whether this mail may get through by another road."""
        return self.response is Response.REROUTE or self.is_of_our_address


_OF_AN_ADDRESS = (Response.REROUTE, Response.HOLD)
