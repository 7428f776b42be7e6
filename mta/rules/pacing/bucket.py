"""A token bucket: so many messages in a time, and a few at once after a silence."""

from math import inf

from mta.model.value import value

GROUP = 10.0  # seconds of a rate that go together, so that not each message wants a connection


@value
class Bucket:
    """What may go at once: `tokens`, as of `at` in Unix seconds."""

    tokens: float
    at: float


def filled(bucket: Bucket, rate: float, now: float) -> Bucket:
    """The bucket after some time at `rate` messages a second; never more than two groups of it."""
    most = max(1.0, 2 * GROUP * rate)
    return Bucket(min(most, bucket.tokens + rate * max(0.0, now - bucket.at)), now)


def group(rate: float, most: int) -> int:
    """How many messages are to go together at this rate: at least 1, and `most` at most."""
    return max(1, min(most, int(GROUP * rate)))


def ready_at(bucket: Bucket, rate: float, messages: int) -> float:
    """When so many may go, in Unix seconds."""
    lack = messages - bucket.tokens
    if lack <= 0:
        return bucket.at
    return bucket.at + lack / rate if rate else inf
