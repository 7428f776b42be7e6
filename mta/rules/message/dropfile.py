"""A message in the drop folder: one file, a line that says for whom, and the content behind it.

    CRC-32 of all that follows, in hex | space | JSON | LF | content

Any user of this host may write one, so what is read here is a stranger's.
"""

import json
import re
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from mta.model.address import Address, AddressError, parse_address
from mta.model.envelope import Client, MessageId, Submission
from mta.model.outcome import Reply
from mta.model.request import NOTHING_FOR_RECIPIENT, MessageRequest, RecipientRequest
from mta.model.value import value

from mta.rules.submission.content import BareNewlines, ContentReader
from mta.rules.submission.parameters import (
    Parameters,
    asked_for_recipient,
    asked_in,
    objection_to_mail,
    objection_to_rcpt,
    read_parameters,
)

FORMAT = 1
MAX_LINE = 1024 * 1024  # octets: some ten thousand recipients
SUFFIX = ".mail"
OFFERED = frozenset({"DSN"})  # the extensions whose parameters it may have

_NAME = re.compile(r"[0-9a-f]{32}")
_CHECKSUM = re.compile(rb"[0-9a-f]{8} ")


class DropError(ValueError):
    """The file is no message for us; the text says what was expected and what was found."""


@value
class Drop:
    """What `mta sendmail` leaves: the content is CRLF text.

    `parameters` and `recipient_parameters` stand as they would behind MAIL and behind each RCPT.
    `shares_keys`: it may have been taken already, by a door that could not tell who sent it.
    """

    sender: Address | None
    recipients: tuple[Address, ...]
    content: bytes
    is_smtputf8: bool = False
    parameters: str = ""
    recipient_parameters: str = ""
    shares_keys: bool = False


def drop_id(name: str) -> MessageId | None:
    """The id of the message in the file of this name; None where the name is none of ours.

    It is made of the name alone, so that a file that is read twice is one message, and no other
    id looks like it: theirs are shorter, or have letters past "f".
    """
    stem = name.removesuffix(SUFFIX)
    return MessageId(f"d{stem}") if stem != name and _NAME.fullmatch(stem) else None


def is_drop_id(id: MessageId) -> bool:
    """Whether a message came by the drop folder, by what it is called."""
    return id.startswith("d") and _NAME.fullmatch(id[1:]) is not None


def drop_name(id: MessageId) -> str:
    """The name of the file that a message of this id came in."""
    return f"{id[1:]}{SUFFIX}"


def drop_file(drop: Drop) -> bytes:
    """The octets of the file."""
    meta = {
        "format": FORMAT,
        "sender": str(drop.sender or ""),
        "recipients": [str(recipient) for recipient in drop.recipients],
        "smtputf8": drop.is_smtputf8,
        "parameters": drop.parameters,
        "recipient_parameters": drop.recipient_parameters,
        "shares_keys": drop.shares_keys,
    }
    rest = json.dumps(meta).encode("ascii") + b"\n" + drop.content
    return b"%08x " % zlib.crc32(rest) + rest


def read_drop_file(octets: bytes, *, size: int, line_length: int) -> Drop:
    """What the file says; the limits are those of the door, in octets. Raises DropError."""
    rest = octets[9:]
    if not _CHECKSUM.match(octets) or int(octets[:8], 16) != zlib.crc32(rest):
        raise DropError("expected a file of mta sendmail, found a wrong checksum")
    end = rest.find(b"\n", 0, MAX_LINE)
    if end < 0:
        raise DropError(f"expected a first line of at most {MAX_LINE} octets, found a longer one")
    return _drop(_meta(rest[:end]), _checked(rest[end + 1 :], size, line_length))


def _meta(line: bytes) -> dict[str, object]:
    try:
        meta = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DropError("expected JSON in the first line") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise DropError(f"expected format {FORMAT}, found another")
    return meta


def _drop(meta: Mapping[str, object], content: bytes) -> Drop:
    sender, recipients = meta.get("sender"), meta.get("recipients")
    if not isinstance(sender, str) or not isinstance(recipients, list) or not recipients:
        raise DropError("expected a sender and recipients")
    return Drop(
        sender=_address(sender) if sender else None,
        recipients=tuple(_address(recipient) for recipient in recipients),
        content=content,
        is_smtputf8=meta.get("smtputf8") is True,
        parameters=_text(meta, "parameters"),
        recipient_parameters=_text(meta, "recipient_parameters"),
        shares_keys=meta.get("shares_keys") is True,
    )


def _address(text: object) -> Address:
    if not isinstance(text, str):
        raise DropError("expected addresses that are texts")
    try:
        return parse_address(text)
    except AddressError as error:
        raise DropError(str(error)) from error


def _text(meta: Mapping[str, object], key: str) -> str:
    text = meta.get(key, "")
    if not isinstance(text, str):
        raise DropError(f"{key}: expected a text")
    return text


def submission_of(drop: Drop, client: Client) -> Submission:
    """The message as it would have come by SMTP. Raises DropError."""
    each = _asked_for_each(drop)
    return Submission(
        sender=drop.sender,
        recipients=drop.recipients,
        content=drop.content,
        client=replace(client, shares_keys=drop.shares_keys),
        is_smtputf8=drop.is_smtputf8,
        request=_asked(drop),
        requests=() if each == NOTHING_FOR_RECIPIENT else (each,) * len(drop.recipients),
    )


def _asked(drop: Drop) -> MessageRequest:
    parameters = _parameters(drop.parameters, objection_to_mail)
    asked = asked_in(parameters)
    if isinstance(asked, Reply):
        raise DropError(asked.text)
    return asked.request(now=0.0)  # which none of OFFERED depends on


def _asked_for_each(drop: Drop) -> RecipientRequest:
    parameters = _parameters(drop.recipient_parameters, objection_to_rcpt)
    asked = asked_for_recipient(parameters)
    if isinstance(asked, Reply):
        raise DropError(asked.text)
    return asked


def _parameters(
    text: str, objection_to: Callable[[Parameters, Collection[str]], Reply | None]
) -> Parameters:
    parameters = read_parameters(text)
    if isinstance(parameters, Reply):
        raise DropError(parameters.text)
    objection = objection_to(parameters, OFFERED)
    if objection is not None:
        raise DropError(objection.text)
    return parameters


def _checked(content: bytes, size: int, line_length: int) -> bytes:
    """The content, held to what the door holds its clients to."""
    reader = ContentReader(size=size, line_length=line_length, bare_newlines=BareNewlines.REFUSE)
    rest = reader.feed(dotted(content))
    if reader.objection is not None:
        raise DropError(reader.objection.text)
    if rest != b"":
        raise DropError("expected lines that end in CRLF")
    return content


def dotted(content: bytes) -> bytes:
    """CRLF text as it goes over the wire after DATA, with its end (RFC 5321 §4.5.2)."""
    first = b"." if content.startswith(b".") else b""
    return first + content.replace(b"\r\n.", b"\r\n..") + b".\r\n"
