"""JSON read into the models, and what is wrong with it said in our words."""

import re
from collections.abc import Callable, Iterator

from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json

from mta.edge.api.forms import MessageForm
from mta.edge.api.problems import Mistake, Problem, path_of, shown

MAX_STRUCTURE = 1024 * 1024  # octets of JSON outside of its strings: each may be an object of ours
MAX_MISTAKES = 100

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"')


def read_json(body: bytes) -> object:
    """The JSON of a body. Raises Problem for what is none, or is a bomb."""
    if len(body) > MAX_STRUCTURE and len(_STRING.sub(b"", body)) > MAX_STRUCTURE:
        raise Problem(413, f"Expected at most {MAX_STRUCTURE} octets outside of JSON's strings")
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Problem(400, f"Expected JSON: {shown(str(error), 120)}") from error


def read_message(
    raw: object, to_ascii: Callable[[str], str], place: tuple[int | str, ...] = ()
) -> MessageForm:
    """A message from JSON. Raises Problem, with all mistakes; `place` is where it stands."""
    try:
        return MessageForm.model_validate(raw, context={"to_ascii": to_ascii})
    except ValidationError as error:
        mistakes = [m for one in error.errors(include_url=False) for m in _mistakes(one, place)]
    raise Problem(422, _summary(mistakes), mistakes=mistakes[:MAX_MISTAKES])


def _summary(mistakes: list[Mistake]) -> str:
    first = f"{mistakes[0].field}: {mistakes[0].text}".removeprefix(": ")
    more = len(mistakes) - 1
    return first + (f" (and {more} more)" if more else "")


def _mistakes(error: ErrorDetails, place: tuple[int | str, ...]) -> Iterator[Mistake]:
    """One mistake that pydantic found, in our words; ours may hold several."""
    location = (*place, *(part for part in error["loc"] if part != "[key]"))
    if error["type"] == "below":
        for name, text in error["ctx"]["mistakes"]:
            yield Mistake(path_of((*location, name)), text)
        return
    yield Mistake(path_of(location), _said(error))


_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "keys with values",
    "model_type": "a message: keys with values",
    "model_attributes_type": "a message: keys with values",
    "string_too_short": "a text that is not empty",
    "too_short": "a text that is not empty",
    "string_type": "a text",
    "timezone_aware": "a time with its zone, such as 2027-01-31T09:00:00Z",
    "tuple_type": "a list",
}


def _said(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "expected a value, found none"
        case "extra_forbidden":
            return "expected a known key"
        case "complete":  # says itself what came
            return error["msg"]
        case "expected":
            expected = error["msg"]
        case "string_too_long" | "too_long":
            input = error["input"]
            what = " characters" if isinstance(input, str) else ""
            return f"expected at most {context['max_length']}{what}, got {len(input)}"
        case kind if kind.startswith("datetime"):
            expected = "expected a date and time such as 2027-01-31T09:00:00Z"
        case kind:
            expected = f"expected {_EXPECTED[kind]}" if kind in _EXPECTED else error["msg"]
    return f"{expected}, got {shown(error['input'])}"
