"""How far a conversation has come, and what its replies and its breakdown mean."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from mta.model.domain import Host, TlsFacts, TlsFailure
from mta.model.outcome import Outcome, Stage, broken, judge

from mta.edge.smtpclient.offers import NO_OFFERS, Offers
from mta.edge.smtpclient.replies import RawReply
from mta.edge.smtpclient.wire import ConversationError, Wire


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a peer may take, in seconds (RFC 5321 §4.5.3.2). Each bounds a whole reply.

    `transaction` bounds all of a message but the wait for its last reply: who dribbles holds a
    connection no longer than that. `block` bounds the wait for room to write the next part of the
    content. `final_dot` must not be shortened in earnest: who gives up early sends the message
    twice (RFC 1047). `haste` is for connecting where another address of the same host is tried
    next: three SYNs may be lost.
    """

    connect: float = 30
    haste: float = 8
    greeting: float = 300
    hello: float = 300
    mail: float = 300
    rcpt: float = 300
    data: float = 120
    transaction: float = 3600
    block: float = 180
    final_dot: float = 600
    quit: float = 5
    handshake: float = 60


class Refused(Exception):
    """The conversation need not go on: `outcome` is what came of it."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(str(outcome.reply))
        self.outcome = outcome


@dataclass(slots=True)
class Conversation:
    """A wire, whom it leads to, and how far the talk has come."""

    wire: Wire
    host: Host
    timeouts: Timeouts
    stage: Stage
    tls: TlsFacts | None = None
    offers: Offers = NO_OFFERS
    clock: Callable[[], float] = time.time  # Unix seconds
    is_lmtp: bool = False  # the peer delivers to mailboxes, and answers for each (RFC 2033)
    _judged: tuple[RawReply, Outcome] | None = None  # the last one, as it often comes again

    async def ask(self, command: bytes, limit: float) -> RawReply:
        """Say one command line and hear its reply. Raises ConversationError."""
        self.wire.say(command)
        return await self.wire.reply(limit)

    def refusal(self, reply: RawReply) -> Outcome:
        """What it means that `reply` is not what was hoped for at this stage.

        A 421 ends the conversation (RFC 5321 §3.8). So does a 2yz or 3yz out of place, which
        raises ConversationError: nobody knows what such a peer believes that it was told.
        """
        if not reply.is_refusal:
            words = reply.legible()
            raise self.wire.end(f"the reply is out of place: {words.code} {words.text}", 5, 0)
        if reply.code == 421:
            self.wire.end(f"the peer is closing: {reply.legible().text}")
        return self.outcome(reply)

    def outcome(self, reply: RawReply) -> Outcome:
        """What `reply` means at this stage; equal short replies in a row share one outcome."""
        if self._judged is not None:
            judged, outcome = self._judged
            if judged is reply and outcome.stage is self.stage and outcome.tls is self.tls:
                return outcome
        outcome = judge(reply.legible(), self.stage, self.host, self.tls)
        self._judged = (reply, outcome)
        return outcome

    def breakdown(self, error: ConversationError, *, may_have_arrived: bool = False) -> Outcome:
        """What it means that the conversation broke at this stage."""
        failure = error.failure
        if failure is None and self.stage is Stage.TLS:
            failure = TlsFailure.VALIDATION_FAILURE
        return broken(
            self.stage,
            self.host,
            str(error),
            subject=error.subject,
            detail=error.detail,
            tls=self.tls,
            may_have_arrived=may_have_arrived,
            tls_failure=failure,
        )
