"""What is sent, and what the server says of it, as Python values."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file. With a `content_id` it is shown where the HTML says `cid:` and that word."""

    filename: str
    content: bytes
    content_type: str = "application/octet-stream"
    content_id: str | None = None


class Fields(TypedDict, total=False):
    """What a message may have besides `from_` and `to`."""

    cc: str | Sequence[str]
    bcc: str | Sequence[str]
    reply_to: str | Sequence[str]
    subject: str
    text: str
    html: str
    attachments: Sequence[Attachment]
    headers: Mapping[str, str]
    send_at: datetime
    deadline: datetime
    if_late: str
    bulk: bool
    tags: Sequence[str]
    metadata: Mapping[str, str]
    strict: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that the server answers for. `warnings` are pairs of a code and a sentence.

    `is_repeat`: the same one was taken before, and this is the answer to it.
    """

    id: str
    message_id: str
    warnings: tuple[tuple[str, str], ...] = ()
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class Recipient:
    """What became of one recipient: "queued", "deferred", "delivered" or "failed".

    `reply` is what the last server said, as in "451 4.7.1 come again later"; `cause` is what a
    refusal was taken for, as "mailbox-full", by the rule named in `rule`.
    """

    address: str
    state: str
    attempts: int
    next_at: datetime | None = None
    reply: str | None = None
    host: str | None = None
    tls: str | None = None
    cause: str | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message, and what became of it. `settled_at` is None while something is owed."""

    id: str
    message_id: str
    accepted_at: datetime
    settled_at: datetime | None
    recipients: tuple[Recipient, ...]


def as_json(from_: str, to: str | Sequence[str], fields: Fields) -> dict[str, Any]:
    """A message as the API has it."""
    body: dict[str, Any] = {"from": from_, "to": _listed(to)}
    for name, value in fields.items():
        match value:
            case datetime():
                body[name] = value.isoformat()
            case Mapping():
                body[name] = dict(value)
            case str() | bool():
                body[name] = value
            case _ if name == "attachments":
                body[name] = [_attachment(one) for one in fields["attachments"]]
            case _:
                body[name] = _listed(value)  # type: ignore[arg-type]
    return body


def sent(answer: Mapping[str, Any], *, is_repeat: bool = False) -> Sent:
    """The receipt in an answer."""
    warnings = tuple((one["code"], one["detail"]) for one in answer["warnings"])
    return Sent(answer["id"], answer["message_id"], warnings, is_repeat)


def message(answer: Mapping[str, Any]) -> Message:
    """The message in an answer."""
    return Message(
        id=answer["id"],
        message_id=answer["message_id"],
        accepted_at=datetime.fromisoformat(answer["accepted_at"]),
        settled_at=_moment(answer["settled_at"]),
        recipients=tuple(map(_recipient, answer["recipients"])),
    )


def _recipient(answer: Mapping[str, Any]) -> Recipient:
    reply = answer.get("reply")
    return Recipient(
        address=answer["address"],
        state=answer["state"],
        attempts=answer["attempts"],
        next_at=_moment(answer.get("next_at")),
        reply=f"{reply['code']} {reply['status']} {reply['text']}" if reply else None,
        host=answer["host"]["name"] if "host" in answer else None,
        tls=answer["tls"]["version"] if "tls" in answer else None,
        cause=answer.get("cause"),
        rule=answer.get("rule"),
    )


def _attachment(one: Attachment) -> dict[str, str]:
    shown = {
        "filename": one.filename,
        "content": b64encode(one.content).decode("ascii"),
        "content_type": one.content_type,
    }
    return shown | ({"content_id": one.content_id} if one.content_id else {})


def _listed(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
