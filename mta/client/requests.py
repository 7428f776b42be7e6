"""Requests and the answers to them, without a wire: what both clients say and understand alike."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from mta.client.messages import Fields, Message, Sent, as_json, message, sent
from mta.client.trouble import MtaError, Refused, Unreachable, refusal

LONGEST_WAIT = 60.0  # seconds before a retry, whatever the server asks for
_FIRST_WAIT = 0.5  # seconds, doubled with each retry
_WORTH_A_RETRY = (408, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered; names of `headers` in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        """The answer's JSON, None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def to_send(from_: str, to: str | Sequence[str], key: str | None, fields: Fields) -> Request:
    """One message."""
    return _posted("/v1/messages", as_json(from_, to, fields), key)


def to_send_raw(content: bytes, from_: str, to: Sequence[str], key: str | None) -> Request:
    """One message that is written already."""
    query = urlencode([("from", from_), *(("to", one) for one in to)])
    headers = {"Content-Type": "message/rfc822", "Idempotency-Key": key or new_key()}
    return Request("POST", f"/v1/messages?{query}", content, headers)


def to_send_batch(messages: Sequence[Mapping[str, Any]], key: str | None) -> Request:
    """Several messages, each the arguments of `send`."""
    shown = []
    for one in messages:
        fields: Any = {name: value for name, value in one.items() if name not in ("from_", "to")}
        shown.append(as_json(one["from_"], one.get("to", ()), fields))
    return _posted("/v1/messages/batch", {"messages": shown}, key)


def to_get(id: str) -> Request:
    """What became of a message."""
    if not (id.isascii() and id.isalnum()):
        raise ValueError(f"expected an id of a message, got {id!r}")
    return Request("GET", f"/v1/messages/{id}")


def sent_by(response: Response) -> Sent:
    """The receipt. Raises Refused."""
    answer = _answer(response)
    return sent(answer, is_repeat=response.headers.get("idempotency-replayed") == "true")


def all_sent_by(response: Response) -> list[Sent | Refused]:
    """A receipt or an error for each. Raises Refused for the batch as a whole."""
    return [
        sent(one["message"]) if "message" in one else refusal(one["status"], one.get("problem"))
        for one in _answer(response)["results"]
    ]


def message_in(response: Response) -> Message:
    """What became of a message. Raises Refused."""
    return message(_answer(response))


def wait_before(retry: int, heard: Response | Unreachable, chance: float) -> float | None:
    """Seconds until the retry of this number, from 0; None where it is not worth one."""
    asked = ""
    if isinstance(heard, Response):
        if heard.status not in _WORTH_A_RETRY:
            return None
        asked = heard.headers.get("retry-after", "")
    wait = float(asked) if asked.isdigit() else _FIRST_WAIT * 2.0**retry
    return wait * (1 + chance / 4) if wait <= LONGEST_WAIT else None


def new_key() -> str:
    """A key that nobody else has."""
    return uuid.uuid4().hex


def _posted(path: str, body: object, key: str | None) -> Request:
    headers = {"Content-Type": "application/json", "Idempotency-Key": key or new_key()}
    return Request("POST", path, json.dumps(body).encode(), headers)


def _answer(response: Response) -> Any:  # noqa: ANN401 - JSON is anything
    answer = response.json()
    if response.status >= 300:
        raise refusal(response.status, answer)
    if not isinstance(answer, Mapping):
        raise MtaError(f"expected JSON, got {response.body[:80]!r}")
    return answer
