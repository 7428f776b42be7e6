"""What became of an attempt: the one vocabulary of success and failure.

A peer's reply, a timeout, a missing domain: all of them are an Outcome. Nowhere else does a
reply code become a verdict than in `judge`.
"""

import re
from enum import StrEnum

from mta.model.domain import Host, TlsFacts, TlsFailure
from mta.model.ruling import Ruling
from mta.model.value import value


class Stage(StrEnum):
    """How far an attempt had come when its outcome was decided."""

    LOOKUP = "lookup"
    CONNECT = "connect"
    GREETING = "greeting"
    HELLO = "hello"
    TLS = "tls"
    LOGIN = "login"
    SENDER = "sender"
    RECIPIENT = "recipient"
    CONTENT = "content"


class Scope(StrEnum):
    """How far an outcome reaches: who else must learn of it."""

    RECIPIENT = "recipient"
    MESSAGE = "message"
    HOST = "host"
    DESTINATION = "destination"


class Verdict(StrEnum):
    """What an outcome means for the recipient."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"


@value
class Reply:
    """An SMTP reply, from a peer or from us.

    `text` is one line of printable characters, without the code and the enhanced status;
    what came from a peer has been bounded and escaped at the edge.
    """

    code: int
    text: str
    subject: int = 0
    detail: int = 0

    @property
    def status(self) -> str:
        """The enhanced status code, as in "4.7.1"; its class is read off the code (RFC 3463 §2).

        Where the code has no such class, it is that of the verdict on it: to be tried again.
        """
        kind = self.code // 100 if self.code // 100 in (2, 4, 5) else 4
        return f"{kind}.{self.subject}.{self.detail}"

    @property
    def is_positive(self) -> bool:
        """Whether the command did what it was sent for (RFC 5321 §4.2.1)."""
        return 200 <= self.code < 400

    def __str__(self) -> str:
        return f"{self.code} {self.status} {self.text}"


_STATUS = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?: |$)")


def parse_reply(code: int, text: str) -> Reply:
    """Make a Reply of a peer's code and its text in one line, already bounded and escaped.

    An enhanced status of another class than the code's is no status but text (RFC 2034 §4),
    so a peer cannot turn its own refusal around.
    """
    found = _STATUS.match(text)
    if found is None or int(found[1]) != code // 100:
        return Reply(code, text)
    return Reply(code, text[found.end() :].lstrip(), int(found[2]), int(found[3]))


@value
class Outcome:
    """What one attempt brought for one recipient.

    `is_from_peer` says whether `reply` holds the peer's own words. `may_have_arrived` is true
    when the connection broke between the final dot and its reply: the peer may have taken the
    message (RFC 1047), so it must be retried on the same road only. `peer_reports`
    says that the peer was told of which notices the sender wants, and gives them from here on
    (RFC 3461 §5.2.1); `peer_keeps_deadline` the same of a deadline (RFC 2852). `ruling` is what a
    refusal was taken for, where that has been asked yet: see `rules.refusals`. `tls_failure` is
    set where it was TLS that failed, and not kept in the spool. `is_discarded`: it went nowhere,
    as an operator wants it.
    """

    verdict: Verdict
    reply: Reply
    stage: Stage
    scope: Scope
    host: Host | None = None
    is_from_peer: bool = False
    may_have_arrived: bool = False
    tls: TlsFacts | None = None
    peer_reports: bool = False
    peer_keeps_deadline: bool = False
    ruling: Ruling | None = None
    tls_failure: TlsFailure | None = None
    is_discarded: bool = False


_REACH = {
    Stage.LOOKUP: Scope.DESTINATION,
    Stage.CONNECT: Scope.HOST,
    Stage.GREETING: Scope.HOST,
    Stage.HELLO: Scope.HOST,
    Stage.TLS: Scope.HOST,
    Stage.LOGIN: Scope.HOST,
    Stage.SENDER: Scope.MESSAGE,
    Stage.RECIPIENT: Scope.RECIPIENT,
    Stage.CONTENT: Scope.MESSAGE,
}

# Refused here, the fault may be ours or may pass: a wrong password or certificate is mended by
# an operator, and mail that waits for that is better than mail that comes back.
_NEVER_FINAL = {Stage.TLS, Stage.LOGIN}


def judge(reply: Reply, stage: Stage, host: Host, tls: TlsFacts | None = None) -> Outcome:
    """What a peer's `reply` at `stage` means, and how far it reaches (RFC 5321 §4.2.1, §4.3.2).

    Nothing is delivered but by a 2yz to the content itself.
    """
    scope = Scope.HOST if reply.code in (421, 521) else _REACH[stage]
    return Outcome(_verdict(reply, stage), reply, stage, scope, host, is_from_peer=True, tls=tls)


def _verdict(reply: Reply, stage: Stage) -> Verdict:
    if 200 <= reply.code < 300 and stage is Stage.CONTENT:
        return Verdict.DELIVERED
    if reply.code == 552 and stage is Stage.RECIPIENT and _may_mean_too_many(reply):
        return Verdict.DEFERRED  # RFC 5321 §4.5.3.1.10
    if 500 <= reply.code < 600 and stage not in _NEVER_FINAL:
        return Verdict.FAILED
    return Verdict.DEFERRED  # 4yz, and whatever no server should say: try again


def _may_mean_too_many(reply: Reply) -> bool:
    """Whether a 552 to RCPT may mean too many recipients, rather than a mailbox that is full."""
    return (reply.subject, reply.detail) in ((0, 0), (5, 3))


def broken(
    stage: Stage,
    host: Host,
    text: str,
    *,
    subject: int = 4,
    detail: int = 2,
    tls: TlsFacts | None = None,
    may_have_arrived: bool = False,
    tls_failure: TlsFailure | None = None,
) -> Outcome:
    """A host that could not be reached or talked with: worth another host, or another try.

    `subject` and `detail` make the status (RFC 3463 §3.5): 4.4.1 no answer, 4.4.2 bad
    connection, 4.7.5 TLS failure.
    """
    reply = Reply(451, text, subject, detail)
    return Outcome(
        Verdict.DEFERRED,
        reply,
        stage,
        Scope.HOST,
        host,
        tls=tls,
        may_have_arrived=may_have_arrived,
        tls_failure=tls_failure,
    )


def undeliverable(text: str, subject: int, detail: int, *, code: int = 550) -> Outcome:
    """A destination that cannot take mail, by what it publishes: final for all of it."""
    return Outcome(
        Verdict.FAILED, Reply(code, text, subject, detail), Stage.LOOKUP, Scope.DESTINATION
    )


def unresolved(text: str, subject: int = 4, detail: int = 3) -> Outcome:
    """A destination whose records could not be had now (RFC 3463 §3.5: 4.4.3 directory server)."""
    return Outcome(
        Verdict.DEFERRED, Reply(451, text, subject, detail), Stage.LOOKUP, Scope.DESTINATION
    )
