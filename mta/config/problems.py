"""What is wrong with settings, in words: where it stands, what was expected, what was found."""

import difflib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

Location = tuple[int | str, ...]

MAX_SHOWN = 60

_EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "keys with values",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of a sensible size",
    "int_type": "a whole number",
    "model_attributes_type": "keys with values",
    "model_type": "keys with values",
    "path_type": "a path",
    "string_too_short": "a text that is not empty",
    "string_type": "a text (a number wants quotes)",
    "too_short": "at least one entry",
    "tuple_type": "a list",
}
_SECRETS = {("password",), ("sha256",)}


class ConfigError(Exception):
    """The configuration is wrong; `problems` holds every mistake, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def path_of(location: Location) -> str:
    """A key's path, as in delivery.retry[2]."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{_named(part)}" for part in location]
    return "".join(parts).removeprefix(".")


def _named(key: str) -> str:
    """A key, bounded and escaped where it is none of ours."""
    is_plain = key.isascii() and key.isprintable() and len(key) <= MAX_SHOWN
    return key if is_plain else ascii(key[:MAX_SHOWN])


def rendered(error: "ErrorDetails", root: "type[BaseModel]") -> str:
    """One mistake that pydantic found in what was to become a `root`, in our words."""
    location = error["loc"]
    if error["type"] == "extra_forbidden":
        return f"{path_of(location)}: {_unknown(location, root)}"
    if error["type"] == "missing":
        return f"{path_of(location)}: expected a value, found none"
    return f"{path_of(location)}: {_expectation(error)}, got {_shown(error)}"


def _expectation(error: "ErrorDetails") -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "value_error":
            return str(context["error"])
        case "enum" | "literal_error":
            return "expected " + str(context["expected"]).replace("'", "")
        case "greater_than_equal":
            return f"expected at least {context['ge']}"
        case "less_than_equal":
            return f"expected at most {context['le']}"
        case "greater_than":
            return f"expected more than {context['gt']:g}"
        case kind:
            return f"expected {_EXPECTED[kind]}" if kind in _EXPECTED else error["msg"]


def _shown(error: "ErrorDetails") -> str:
    """What was found, bounded and escaped; a secret is not shown."""
    if error["loc"][-1:] in _SECRETS:
        return "something else"
    text = json.dumps(error["input"], default=str)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def _unknown(location: Location, root: "type[BaseModel]") -> str:
    known = _keys_beside(location, root)
    alike = difflib.get_close_matches(str(location[-1]).lower(), known, n=1)
    if alike:
        return f"expected a known key; did you mean {alike[0]}?"
    return f"expected a known key; here they are {', '.join(known)}"


def _keys_beside(location: Location, root: "type[BaseModel]") -> list[str]:
    section = root
    for part in location[:-1]:
        if isinstance(part, str) and part in section.model_fields:
            section = section_in(section.model_fields[part].annotation) or section
    return [field.alias or name for name, field in section.model_fields.items()]


def section_in(annotation: object) -> "type[BaseModel] | None":
    """The section that an annotation such as `tuple[Listen, ...]` holds, if it does."""
    from pydantic import BaseModel  # whoever asks has it already; not all do who import us

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(section_in, get_args(annotation))), None)
