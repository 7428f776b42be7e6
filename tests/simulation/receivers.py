"""Characters of receivers, as state machines: what they say depends on what came before.

No receiver publishes its numbers; these are in character. Each takes a good rate gladly, defers
what is more, and blocks who goes on as if it had said nothing.
"""

from collections import deque

from mta.model.address import Address
from mta.model.outcome import Reply, parse_reply

HOUR = 3600.0
OK = Reply(250, "OK")


class Bucket:
    """So many in a burst, and so many an hour."""

    def __init__(self, burst: float, per_hour: float) -> None:
        self._burst = self._left = burst
        self._rate = per_hour / HOUR
        self._at = 0.0

    def takes(self, now: float, count: float = 1.0) -> bool:
        """Whether there is room for so many more."""
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < count:
            return False
        self._left -= count
        return True


class Receiver:
    """Takes everything, each message in `seconds`."""

    seconds = 0.2
    hosts = 1

    def __init__(self) -> None:
        self.blocks = 0  # that were earned
        self.refusals = 0
        self.taken = 0

    def hear(self, now: float, sender: str, recipient: Address) -> Reply:
        """What it says to one message for one recipient."""
        reply = self.answer(now, sender, recipient)
        if reply is OK:
            self.taken += 1
        else:
            self.refusals += 1
        return reply

    def answer(self, now: float, sender: str, recipient: Address) -> Reply:
        """The same, uncounted."""
        return OK


class Guarded(Receiver):
    """Defers what is more than it takes, and blocks who does not heed that."""

    deferral = parse_reply(451, "4.7.0 slower")
    block = parse_reply(550, "5.7.1 blocked")
    blocked_for = 24 * HOUR

    def __init__(self, *, burst: float, per_hour: float, patience: float) -> None:
        """`patience`: so many deferrals may go unheeded at once, and as many each hour."""
        super().__init__()
        self._bucket = Bucket(burst, per_hour)
        self._patience = Bucket(patience, patience)
        self._blocked_until = 0.0

    def answer(self, now: float, sender: str, recipient: Address) -> Reply:
        if now < self._blocked_until:
            return self.block
        if self._bucket.takes(now):
            return OK
        if not self._patience.takes(now):
            self.blocks += 1
            self._blocked_until = now + self.blocked_for
        return self.deferral


class Outlook(Guarded):
    """451 4.7.650, and S3150 for who goes on."""

    deferral = parse_reply(
        451,
        "4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP "
        "reputation. For e-mail delivery information, see https://aka.ms/postmaster (S775)",
    )
    block = parse_reply(
        550,
        "5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet "
        "service provider since part of their network is on our block list (S3150).",
    )


class Gmail(Guarded):
    """421 4.7.28 for all, 450 4.2.1 for one mailbox, and a block for who goes on."""

    deferral = parse_reply(
        421,
        "4.7.28 Gmail has detected an unusual rate of unsolicited email originating from your IP "
        "address 192.0.2.1. To protect our users from spam, email sent from your IP address has "
        "been temporarily rate limited. - gsmtp",
    )
    block = parse_reply(
        550,
        "5.7.28 Gmail has detected an unusual amount of unsolicited email originating from your IP "
        "address. To protect our users from spam, email sent from it has been blocked. - gsmtp",
    )
    _too_much = parse_reply(
        450,
        "4.2.1 The user you are trying to contact is receiving email at a rate that prevents "
        "additional messages from being delivered. - gsmtp",
    )

    def __init__(self, *, burst: float, per_hour: float, patience: float) -> None:
        super().__init__(burst=burst, per_hour=per_hour, patience=patience)
        self._popular = Bucket(20, 60)

    def answer(self, now: float, sender: str, recipient: Address) -> Reply:
        if recipient.local == "popular" and not self._popular.takes(now):
            return self._too_much
        return super().answer(now, sender, recipient)


class Yahoo(Receiver):
    """[TSS04] for a while after a burst, and [TSS09] for who keeps knocking meanwhile."""

    _deferral = parse_reply(
        421,
        "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or "
        "user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
    )
    _block = parse_reply(
        553,
        "5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT "
        "succeed. See https://postmaster.yahooinc.com/error-codes",
    )

    def __init__(self, *, burst: int, seconds: float, patience: int) -> None:
        """More than `burst` in 5 minutes are too many; it sulks for `seconds` then."""
        super().__init__()
        self._burst = burst
        self._sulk = seconds
        self._patience = patience
        self._came: deque[float] = deque()
        self._deferred_until = self._blocked_until = 0.0
        self._knocks = 0

    def answer(self, now: float, sender: str, recipient: Address) -> Reply:
        if now < self._blocked_until:
            return self._block
        if now < self._deferred_until:
            return self._knocked(now)
        while self._came and self._came[0] < now - 300:
            self._came.popleft()
        if len(self._came) < self._burst:
            self._came.append(now)
            return OK
        self._deferred_until = now + self._sulk
        self._knocks = 0
        return self._deferral

    def _knocked(self, now: float) -> Reply:
        self._knocks += 1
        if self._knocks > self._patience:
            self.blocks += 1
            self._blocked_until = now + 48 * HOUR
        return self._deferral


class Greylister(Receiver):
    """Wants each pair of sender and recipient to come again after five minutes."""

    _later = parse_reply(450, "4.2.0 Greylisted, see http://postgrey.schweikert.ch/help")

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[str, str], float] = {}

    def answer(self, now: float, sender: str, recipient: Address) -> Reply:
        first = self._known.setdefault((sender, str(recipient)), now)
        return OK if now >= first + 300 else self._later


class Tarpit(Receiver):
    """Takes everything, and a minute for each."""

    seconds = 60.0


class DeadIpv6(Receiver):
    """Has two addresses, of which the first leads nowhere."""

    hosts = 2
