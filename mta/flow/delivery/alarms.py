"""What an operator must mend is an error in the log: once an hour, however much mail waits."""

import logging

from mta.model.address import Address
from mta.model.outcome import Outcome
from mta.model.ruling import Ruling

from mta.flow.ports import Clock

log = logging.getLogger(__name__)

EVERY = 3600.0  # seconds between two words about the same trouble
MAX_TROUBLES = 1_000  # that are remembered


class Alarms:
    """Tells of refusals that are ours to mend."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._said_at: dict[tuple[str, str], float] = {}

    def sound(self, recipient: Address, outcome: Outcome, ruling: Ruling) -> None:
        """Say that mail is kept, and why, unless that was said within the hour."""
        now = self._clock()
        trouble = (ruling.rule, recipient.domain)
        if now < self._said_at.get(trouble, -EVERY) + EVERY:
            return
        if len(self._said_at) >= MAX_TROUBLES:
            self._said_at.clear()
        self._said_at[trouble] = now
        log.error(
            "mail to %s is refused for our sake (%s) and kept: %s; see mta explain --rule %s",
            recipient.domain,
            ruling.cause,
            outcome.reply,
            ruling.rule,
        )
