"""Who may log in, what they may send, and why a login is refused."""

from dataclasses import field
from enum import StrEnum
from hashlib import sha256

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


@value
class Account:
    """A user and what proves that somebody is him.

    `password` is an argon2id hash in PHC form, "" where the user has none; `tokens` are the
    digests of his tokens for the HTTP API.
    """

    user: User
    password: str = field(default="", repr=False)
    tokens: frozenset[str] = frozenset()


def token_digest(token: str) -> str:
    """What is kept of a token. It has 256 bits of chance: no salt or slow hash is called for."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


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
