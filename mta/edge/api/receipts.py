"""What was done with a message, as HTTP says it."""

from mta.model.order import Receipt, Taking

from mta.edge.api.calls import Answer
from mta.edge.api.problems import Problem, as_json

_RETRY_SECONDS = 30.0  # where nobody knows better


def answer_to(receipt: Receipt) -> Answer:
    """The answer to one message. Raises Problem where it was not taken."""
    problem = as_problem(receipt)
    if problem is not None:
        raise problem
    headers = {"Idempotency-Replayed": "true"} if receipt.taking is Taking.REPEATED else {}
    headers["Location"] = f"/v1/messages/{receipt.id}"
    return Answer(202, as_json(shown_receipt(receipt)), headers=headers)


def shown_receipt(receipt: Receipt) -> dict[str, object]:
    """A message that is ours now."""
    return {
        "id": receipt.id,
        "message_id": receipt.message_id,
        "warnings": [{"code": one.code, "detail": one.text} for one in receipt.warnings],
    }


def as_problem(receipt: Receipt) -> Problem | None:
    """Why a message was not taken; None where it was."""
    reply = receipt.reply
    match receipt.taking:
        case Taking.TAKEN | Taking.REPEATED:
            return None
        case Taking.CONFLICT:
            return Problem(409, reply.text)
    if 400 <= reply.code < 500:
        is_about_client = reply.subject == 7
        wait = receipt.retry_after or _RETRY_SECONDS
        return Problem(429 if is_about_client else 503, reply.text, retry_after=wait)
    return Problem(_STATUS.get((reply.subject, reply.detail), 422), reply.text)


_STATUS = {
    (7, 1): 403,  # not authorised
    (7, 8): 403,
    (3, 4): 413,  # too large
}
