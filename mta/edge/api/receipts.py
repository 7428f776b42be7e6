"""What was done with a message, and what became of it, as HTTP says it."""

from datetime import UTC, datetime

from mta.model.envelope import State
from mta.model.order import Receipt, Taking
from mta.model.trace import Fate, Trace

from mta.edge.api.calls import Answer
from mta.edge.api.problems import Mistake, Problem, as_json

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
        status = 429 if reply.subject == 7 else 503  # the client's doing, or ours
        wait = receipt.retry_after or _RETRY_SECONDS
        return Problem(status, reply.text, retry_after=wait)
    status = _STATUS.get((reply.subject, reply.detail), 422)
    return Problem(
        status, reply.text, mistakes=[Mistake(one.code, one.text) for one in receipt.warnings]
    )


def shown_trace(trace: Trace) -> dict[str, object]:
    """What became of a message. Moments are ISO 8601 in UTC."""
    entry = trace.entry
    return {
        "id": entry.id,
        "message_id": entry.message_id,
        "accepted_at": _iso(entry.at),
        "settled_at": None if trace.settled_at is None else _iso(trace.settled_at),
        "recipients": [_shown_fate(fate) for fate in trace.fates],
    }


def _shown_fate(fate: Fate) -> dict[str, object]:
    shown: dict[str, object] = {
        "address": str(fate.address),
        "state": _state(fate),
        "at": _iso(fate.at),
        "attempts": fate.attempts,
    }
    if fate.state is State.WAITING:
        shown["next_at"] = _iso(fate.next_at)
    if fate.reply is not None:
        reply = fate.reply
        shown["reply"] = {"code": reply.code, "status": reply.status, "text": reply.text}
    if fate.cause is not None:
        shown |= {"cause": fate.cause, "rule": fate.rule}
    if fate.host is not None:
        host = fate.host
        shown["host"] = {"name": host.name, "address": host.address, "port": host.port}
    if fate.tls is not None:
        tls = fate.tls
        protection = {"version": tls.version, "cipher": tls.cipher, "verified": tls.is_verified}
        proof = {"proof": str(tls.proof)} if tls.proof else {}
        shown["tls"] = protection | proof
    return shown


def _state(fate: Fate) -> str:
    if fate.state is State.WAITING:
        return "queued" if fate.reply is None else "deferred"
    return "delivered" if fate.state is State.DELIVERED else "failed"


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


_STATUS = {
    (7, 1): 403,  # not authorised
    (7, 8): 403,
    (3, 4): 413,  # too large
}
