"""Mail whose route is gone from the settings."""

from collections import Counter
from collections.abc import Container, Iterable

from mta.model.envelope import Envelope, State


def strays(envelopes: Iterable[Envelope], routes: Container[str]) -> Counter[str]:
    """How many recipients wait for each route that is none of `routes`; they take the default."""
    return Counter(
        recipient.route
        for envelope in envelopes
        for recipient in envelope.recipients
        if recipient.route and recipient.route not in routes and recipient.state is State.WAITING
    )
