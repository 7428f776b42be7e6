"""JSON read into the models, and what is wrong with it said in our words."""

import re
from collections.abc import Callable, Iterator

from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json

from mta.edge.api.forms import MessageForm
from mta.edge.api.problems import Mistake, Problem, path_of, shown

MAX_STRUCTURE = 1024 * 1024  # octets of JSON outside of its strings: each may be an object of ours
MAX_PARTS = 10_000  # values of a message: each that is wrong takes a kilobyte to say so
MAX_MISTAKES = 100

# One that does not end is one too: looked for from each quote in it, it would take days.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


def read_json(body: bytes) -> object:
    """The JSON of a body. Raises Problem for what is none, or is a bomb."""
    if len(body) > MAX_STRUCTURE and _has_much_structure(body):
        raise Problem(413, f"Expected at most {MAX_STRUCTURE} octets outside of JSON's strings")
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Problem(400, f"Expected JSON: {shown(str(error), 120)}") from error


def read_message(
    raw: object,
    to_ascii: Callable[[str], str],
    place: tuple[int | str, ...] = (),
    *,
    parts: int = MAX_PARTS,
) -> MessageForm:
    """A message from JSON. Raises Problem, with all mistakes; `place` is where it stands.

    It may have so many `parts`: values in lists and behind keys, at any depth.
    """
    if _has_more_parts(raw, parts):
        where = path_of(place)
        raise Problem(413, f"{where}: expected at most {parts} values".removeprefix(": "))
    try:
        return MessageForm.model_validate(raw, context={"to_ascii": to_ascii})
    except ValidationError as error:
        mistakes = [m for one in error.errors(include_url=False) for m in _mistakes(one, place)]
    summary = _summary(mistakes)
    del mistakes[MAX_MISTAKES:]  # what is raised holds all that stands here
    raise Problem(422, summary, mistakes=mistakes)


def _has_much_structure(body: bytes) -> bool:
    """Whether JSON has so many octets outside of its strings, with one for each string."""
    octets = end = 0
    for string in _STRING.finditer(body):
        octets += string.start() - end + 1
        if octets > MAX_STRUCTURE:
            return True
        end = string.end()
    return octets + len(body) - end > MAX_STRUCTURE


def _has_more_parts(raw: object, limit: int) -> bool:
    unseen, count = [raw], 0
    while unseen:
        one = unseen.pop()
        parts = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        count += len(parts)
        if count > limit:
            return True
        unseen.extend(parts)
    return False


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
        case "literal_error":
            expected = f"expected {context['expected'].replace(chr(39), '')}"
        case kind if kind.startswith("datetime"):
            expected = "expected a date and time such as 2027-01-31T09:00:00Z"
        case kind:
            expected = f"expected {_EXPECTED[kind]}" if kind in _EXPECTED else error["msg"]
    return f"{expected}, got {shown(error['input'])}"
