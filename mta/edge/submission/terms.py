"""What is the same for many sessions: limits, what is offered, and so the answer to EHLO."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache

from mta.rules.submission.sasl import Mechanism

from mta.edge.submission.answers import Answer
from mta.edge.submission.settings import Door, SessionLimits

_LATEST = b"{latest}"  # stands in the answer to EHLO for what changes with the time


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What one listener's sessions go by; `offers_tls` and `is_secured` exclude each other."""

    door: Door
    hostname: str
    to_ascii: Callable[[str], str]
    limits: SessionLimits
    takes_logins: bool = False
    needs_login: bool = False
    logs_in_plainly: bool = False  # without TLS, too
    offers_tls: bool = False
    is_secured: bool = False
    clock: Callable[[], float] = time.time

    @cached_property
    def offers_login(self) -> bool:
        """Whether a client may log in as things are: AUTH is not even offered in clear."""
        return self.takes_logins and (self.is_secured or self.logs_in_plainly)

    @cached_property
    def offered(self) -> frozenset[str]:
        """The extensions whose parameters MAIL and RCPT may have."""
        return frozenset(words.partition(" ")[0] for words in self._offers)

    @cached_property
    def helo(self) -> Answer:
        """The answer to HELO."""
        return Answer(f"250 {self.hostname}\r\n".encode("ascii"))

    @property
    def ehlo(self) -> Answer:
        """The answer to EHLO."""
        if not self.limits.hold_seconds:
            return Answer(self._ehlo)
        latest = _minute((self.clock() + self.limits.hold_seconds) // 60)
        return Answer(self._ehlo.replace(_LATEST, latest))

    @cached_property
    def _ehlo(self) -> bytes:
        *lines, last = (self.hostname, *self._offers)
        text = "".join(f"250-{line}\r\n" for line in lines) + f"250 {last}\r\n"
        return text.encode("ascii")

    @cached_property
    def _offers(self) -> tuple[str, ...]:
        """Each extension as EHLO names it: a word, and its arguments if any."""
        return (
            f"SIZE {self.limits.message_size}",
            "8BITMIME",
            "SMTPUTF8",
            "PIPELINING",
            "CHUNKING",
            "DSN",
            *(["STARTTLS"] if self.offers_tls else []),
            *(["REQUIRETLS"] if self.is_secured else []),  # never in clear, RFC 8689 §2
            *([" ".join(["AUTH", *Mechanism])] if self.offers_login else []),
            "DELIVERBY",
            *self._hold,
            "MT-PRIORITY",
            "XVERP",
            f"LIMITS RCPTMAX={self.limits.recipients}",  # RFC 9422 §4.2
            "ENHANCEDSTATUSCODES",
        )

    @property
    def _hold(self) -> list[str]:
        """How long, and until when a message may be held back (RFC 4865 §3)."""
        seconds = int(self.limits.hold_seconds)
        return [f"FUTURERELEASE {seconds} {_LATEST.decode()}"] if seconds else []


@lru_cache(maxsize=1)
def _minute(minutes: float) -> bytes:
    """A moment in minutes since 1970, in the words of RFC 3339."""
    moment = datetime.fromtimestamp(minutes * 60, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
