"""What is counted of the TLS of connections, for reports to the domains (RFC 8460)."""

from enum import StrEnum

from mta.model.domain import TlsFailure
from mta.model.value import value


class PolicyKind(StrEnum):
    """By what a domain said what its hosts must prove (RFC 8460 §4.2)."""

    TLSA = "tlsa"
    STS = "sts"
    NONE = "no-policy-found"


@value
class Applied:
    """The policy of `domain` that a connection was under.

    `lines` are its text: the lines of an MTA-STS policy, or the TLSA records. `mx` are the
    patterns of the former.
    """

    domain: str
    kind: PolicyKind
    lines: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()


@value
class Failing:
    """What went wrong, and where; `host` and `address` are "" where no host was reached."""

    kind: TlsFailure
    host: str = ""
    address: str = ""
    text: str = ""


@value
class Counted:
    """How many connections there were under one policy on one day, a number since 1970-01-01."""

    day: int
    applied: Applied
    successes: int
    failures: tuple[tuple[Failing, int], ...] = ()
