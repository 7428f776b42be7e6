"""What a domain publishes about the TLS of its exchangers: its MTA-STS policy (RFC 8461)."""

from enum import StrEnum

from mta.model.value import value


class StsMode(StrEnum):
    """What a sender is to do where an exchanger does not keep the policy (RFC 8461 §5)."""

    ENFORCE = "enforce"  # not send there
    TESTING = "testing"  # send, and report
    NONE = "none"  # nothing: there is no policy any more


@value
class StsPolicy:
    """A policy as it was fetched; `max_age` is in seconds.

    `mx` has the exchangers' names in lower-case A-labels, or as "*.example.com" all names with
    one label more.
    """

    mode: StsMode
    mx: tuple[str, ...]
    max_age: int


@value
class HeldPolicy:
    """A policy and when it came; moments are in Unix seconds.

    `id` is the one that its domain's TXT record had then. `used_at` is when mail was last sent
    under it, to the day.
    """

    policy: StsPolicy
    id: str
    fetched_at: float
    used_at: float

    @property
    def expires_at(self) -> float:
        """From when on it counts no more."""
        return self.fetched_at + self.policy.max_age


@value
class Unreached:
    """Why a host of the Web could not be asked, in printable ASCII.

    `is_certificate`: it did not prove its name.
    """

    text: str
    is_certificate: bool = False
