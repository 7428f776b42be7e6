"""Why a message was not taken."""

from collections.abc import Mapping
from typing import Any


class MtaError(Exception):
    """Anything that kept a request from being answered with success."""


class Unreachable(MtaError):
    """No answer came: whether the message was taken is not known. A retry has the same key."""


class Refused(MtaError):
    """The server said no. `errors` holds the mistakes by their fields, as in {"to[2]": "..."}."""

    def __init__(self, status: int, detail: str, errors: Mapping[str, str]) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.errors = dict(errors)


class InvalidMessage(Refused):
    """There is something wrong with the message."""


class NotAllowed(Refused):
    """The token is unknown, or may not send this."""


class NotFound(Refused):
    """There is no such message, or it is somebody else's."""


class Conflict(Refused):
    """The key came before, with another message."""


class TooMany(Refused):
    """More than may be sent now."""


class Unavailable(Refused):
    """The server cannot take it now."""


_KINDS = {401: NotAllowed, 403: NotAllowed, 404: NotFound, 409: Conflict, 429: TooMany}


def refusal(status: int, problem: Any) -> Refused:  # noqa: ANN401 - JSON of a server's
    """The error that an answer stands for; `problem` is its JSON, or anything else."""
    told = problem if isinstance(problem, Mapping) else {}
    errors = {
        str(one.get("field", "")): str(one.get("detail", ""))
        for one in told.get("errors", ())
        if isinstance(one, Mapping)
    }
    kind = _KINDS.get(status, Unavailable if status >= 500 else InvalidMessage)
    return kind(status, str(told.get("detail", "no reason was given")), errors)
