"""Who may log in, what they may send, and why a login is refused."""

from enum import StrEnum

from mta.model.value import value


@value
class Allowance:
    """How much may be sent within some time; None: as much as anybody."""

    messages: int | None = None
    recipients: int | None = None
    octets: int | None = None
    connections: int | None = None


NO_LIMIT = Allowance()


@value
class User:
    """Somebody who may log in and submit mail.

    `senders` are the addresses and domains that the user may send from, in lower case and
    A-labels; empty: every sender that the server's own rules allow.
    """

    name: str
    senders: frozenset[str] = frozenset()
    per_hour: Allowance = NO_LIMIT
    per_day: Allowance = NO_LIMIT


class Refusal(StrEnum):
    """Why a login is refused. Whether a user exists is never said."""

    WRONG = "wrong"  # no such user, another password, or an unknown token
    LOCKED = "locked"  # too many failures came before: not even looked at
    BUSY = "busy"  # too many others log in at this moment


@value
class LoginRefused:
    """A login that was not granted; `retry_after` seconds another try is worth it, 0: at once."""

    why: Refusal
    retry_after: float = 0.0
