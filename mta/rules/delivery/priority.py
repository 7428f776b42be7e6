"""Who goes first among the mail for one destination (RFC 6710)."""

from mta.model.envelope import Consignment

STEP = 900.0  # seconds that one step of priority is worth


def rank(consignment: Consignment) -> float:
    """The lowest goes first: what came due earlier, or would have with its priority.

    So the highest priority overtakes what came due within two hours and a quarter before, and
    nothing waits for ever behind what is more urgent.
    """
    return consignment.due_at - STEP * consignment.envelope.request.priority
