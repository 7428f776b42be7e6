"""Who goes first among the mail for one destination (RFC 6710), and for one site."""

from mta.model.envelope import Consignment

STEP = 900.0  # seconds that one step of priority is worth
URGENT_IN_A_ROW = 4  # before one that may wait, where such are waiting


def rank(consignment: Consignment) -> float:
    """The lowest goes first: what came due earlier, or would have with its priority.

    So the highest priority overtakes what came due within two hours and a quarter before, and
    nothing waits for ever behind what is more urgent.
    """
    return consignment.due_at - STEP * consignment.envelope.request.priority


def is_turn_of_bulk(urgent_in_a_row: int) -> bool:
    """Whether the next is one that may wait, after so many that may not while it waited.

    So what somebody waits for goes at once, whatever came before it, and at four fifths of the pace
    where there is much of it; and bulk goes on at a fifth at least.
    """
    return urgent_in_a_row >= URGENT_IN_A_ROW
