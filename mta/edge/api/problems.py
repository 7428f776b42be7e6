"""What is wrong with a request, in words (RFC 9457): which field, what was expected, what came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import orjson

from mta.edge.api.calls import Answer

PROBLEM = "application/problem+json"
MAX_SHOWN = 60  # characters of what came


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong with one field, as in `to[2]`; "" is the body as a whole."""

    field: str
    text: str


class Problem(Exception):
    """A request that is answered with an error. `retry_after` is in seconds."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        mistakes: Sequence[Mistake] = (),
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.mistakes = tuple(mistakes)
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, round(retry_after)))

    def shown(self) -> dict[str, object]:
        """The problem as JSON has it."""
        shown: dict[str, object] = {
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.mistakes:
            shown["errors"] = [{"field": one.field, "detail": one.text} for one in self.mistakes]
        return shown

    def answer(self) -> Answer:
        """The problem as it is sent."""
        return Answer(self.status, as_json(self.shown()), PROBLEM, self.headers)


def path_of(location: Sequence[int | str]) -> str:
    """A key's path, as in attachments[2].filename, escaped and bounded."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{_named(part)}" for part in location]
    return "".join(parts).removeprefix(".")


def shown(value: object, length: int = MAX_SHOWN) -> str:
    """What came, as ASCII and bounded."""
    text = ascii(value[: length + 1] if isinstance(value, str) else _outlined(value))
    return text if len(text) <= length else text[: length - 3] + "..."


def _outlined(value: object) -> object:
    """Something of a size that can be shown."""
    if isinstance(value, dict):
        return {str(key)[:MAX_SHOWN]: "..." for key in list(value)[:5]}
    return ["..."] if isinstance(value, list) and value else value


def _named(key: str) -> str:
    is_plain = key.isascii() and key.isprintable() and len(key) <= MAX_SHOWN
    return key if is_plain else ascii(key[:MAX_SHOWN])


def as_json(value: object) -> bytes:
    """Plain values as JSON; what came from elsewhere has been checked to be Unicode."""
    return orjson.dumps(value)


def canonical(value: object) -> bytes:
    """The same JSON for the same values, whatever their order."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
