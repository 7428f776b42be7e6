"""What a site said that slows us down, and how it is held back: plain values.

They go from one process to another, and stay over a restart.
"""

from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict
from mta.model.ruling import Cause, Response, Ruling
from mta.model.value import value


@value
class Trouble:
    """A refusal and what it is taken for; the words are those of the enums."""

    code: int
    text: str
    subject: int
    detail: int
    stage: str
    cause: str
    rule: str
    response: str
    seconds: float

    @classmethod
    def of(cls, outcome: Outcome, ruling: Ruling) -> "Trouble":
        """The trouble that an outcome tells of."""
        reply = outcome.reply
        return cls(
            reply.code,
            reply.text,
            reply.subject,
            reply.detail,
            outcome.stage,
            ruling.cause,
            ruling.rule,
            ruling.response,
            ruling.seconds,
        )

    @property
    def ruling(self) -> Ruling:
        """What it is taken for."""
        return Ruling(Cause(self.cause), self.rule, Response(self.response), self.seconds)

    @property
    def outcome(self) -> Outcome:
        """The outcome for other mail for the same site, which was not tried."""
        return Outcome(
            Verdict.DEFERRED,
            Reply(self.code, self.text, self.subject, self.detail),
            Stage(self.stage),
            Scope.DESTINATION,
            is_from_peer=True,
            ruling=self.ruling,
        )


@value
class Throttle:
    """How a site is held back, until a moment in Unix seconds; by default not at all.

    `rate` is in messages a second, 0.0 where none is held. `is_shut`: nothing is sent, for what it
    said (`trouble`), or because the day's part of the warm-up is gone (None).
    """

    site: str
    until: float = 0.0
    rate: float = 0.0
    is_shut: bool = False
    trouble: Trouble | None = None

    @property
    def is_free(self) -> bool:
        """Whether nothing holds it back."""
        return not (self.is_shut or self.rate)

    @property
    def words(self) -> str:
        """How much goes, as in "6/min"."""
        if self.is_shut:
            return "nothing" if self.trouble else "nothing more today (warm-up)"
        return shown_rate(self.rate) if self.rate else "as much as there is"


def shown_rate(rate: float) -> str:
    """A rate in messages a second, in its best unit: "2/s", "6/min", "10/h"."""
    for unit, seconds in (("s", 1), ("min", 60)):
        if rate * seconds >= 1:
            return f"{rate * seconds:.3g}/{unit}"
    return f"{rate * 3600:.3g}/h"
