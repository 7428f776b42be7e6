"""The fields of a request: each checked as it is read, and said as OpenAPI says it."""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from mta.model.address import MAX_DOMAIN, MAX_LOCAL, Address, AddressError, parse_address
from mta.model.draft import Mailbox

from mta.rules.message.compose import CONTROL

MAX_NAME = 256  # characters of a display name, or of a file's
MAX_ADDRESS = MAX_LOCAL + 1 + MAX_DOMAIN

# Possessive (*+): a stranger's blanks would be parted in all ways between what comes in a row.
_NAMED = re.compile(r"(?:\"((?:[^\"\\]|\\.)*+)\"\s*+|([^<>\"]*+))<([^<>]*+)>")
_CONTENT_TYPE = re.compile(
    r"(?!(?i:multipart|message)/)[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,63}/"
    r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,63}(?:; ?charset=[A-Za-z0-9_-]{1,40})?"
)
_CONTENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,200}")
_BLANKS = str.maketrans("", "", " \t\r\n")


def wrong(expected: str) -> PydanticCustomError:
    """A mistake, said as "expected ..."; what came is added where it is told."""
    return PydanticCustomError("expected", "{expected}", {"expected": f"expected {expected}"})


def _without_controls(text: str) -> str:
    if CONTROL.search(text):
        raise wrong("no control characters or line breaks")
    return text


def _storable(text: str) -> str:
    if "\0" in text:
        raise wrong("no NUL")
    return text


def read_mailbox(raw: object, info: ValidationInfo) -> Mailbox:
    """A mailbox: "ann@here.test", "Ann <ann@here.test>", or {"address": ..., "name": ...}."""
    if isinstance(raw, Mapping) and raw.keys() <= {"address", "name"} and "address" in raw:
        name, address = raw.get("name") or "", raw["address"]
    elif isinstance(raw, str):
        named = _NAMED.fullmatch(raw.strip()) if len(raw) <= MAX_NAME + MAX_ADDRESS else None
        quoted, plain, address = named.groups() if named else (None, "", raw.strip(" "))
        name = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else (plain or "").rstrip()
    else:
        name, address = None, None
    if not isinstance(name, str) or not isinstance(address, str):
        raise wrong("an address such as ann@example.com or Ann <ann@example.com>")
    _without_controls(name)
    if len(name) > MAX_NAME:
        raise wrong(f"a name of at most {MAX_NAME} characters")
    return Mailbox(_address(address, info), name)


def _address(text: str, info: ValidationInfo) -> Address:
    to_ascii: Callable[[str], str] = (info.context or {})["to_ascii"]
    try:
        return parse_address(text, to_ascii)
    except AddressError as error:
        raise PydanticCustomError("complete", "{text}", {"text": str(error)}) from error


def _listed(raw: object) -> object:
    return raw if isinstance(raw, list) else [raw]


def _a_text(raw: object) -> object:
    if not isinstance(raw, str):
        raise wrong("a date and time such as 2027-01-31T09:00:00Z")
    return raw


def _read_base64(raw: object) -> bytes:
    try:
        return b64decode(raw.translate(_BLANKS) if isinstance(raw, str) else b"?", validate=True)
    except ValueError:
        raise wrong("base64") from None


def _matching(pattern: "re.Pattern[str]", expected: str, text: str) -> str:
    if not pattern.fullmatch(text):
        raise wrong(expected)
    return text


Text = Annotated[str, AfterValidator(_without_controls)]
Body = Annotated[str, AfterValidator(_storable)]
_MAILBOX = {
    "anyOf": [
        {"type": "string", "maxLength": MAX_NAME + MAX_ADDRESS},
        {
            "type": "object",
            "properties": {
                "address": {"type": "string", "maxLength": MAX_ADDRESS},
                "name": {"type": "string", "maxLength": MAX_NAME},
            },
            "required": ["address"],
            "additionalProperties": False,
        },
    ],
    "description": "`ann@example.com`, `Ann <ann@example.com>`, or the two apart",
}
MailboxField = Annotated[Mailbox, PlainValidator(read_mailbox), WithJsonSchema(_MAILBOX)]
Mailboxes = Annotated[
    tuple[MailboxField, ...],
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [*_MAILBOX["anyOf"], {"type": "array", "items": _MAILBOX}]}),
]
Octets = Annotated[
    bytes,
    PlainValidator(_read_base64),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]


def _shaped(pattern: "re.Pattern[str]", expected: str) -> AfterValidator:
    return AfterValidator(partial(_matching, pattern, expected))


ContentType = Annotated[
    str,
    _shaped(
        _CONTENT_TYPE,
        "a type such as application/pdf or text/csv; charset=utf-8, but no multipart or message",
    ),
]
ContentId = Annotated[str, _shaped(_CONTENT_ID, "a word such as logo or logo@example.com")]
Moment = Annotated[AwareDatetime, BeforeValidator(_a_text)]
Tag = Annotated[Text, Field(min_length=1, max_length=64)]
Value = Annotated[Text, Field(max_length=512)]
