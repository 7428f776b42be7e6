"""The parameters of MAIL and RCPT: which extension offers each, its shape, and what it asks for."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

from mta.model.outcome import Reply
from mta.model.request import (
    NOTHING_FOR_RECIPIENT,
    Deadline,
    Late,
    MessageRequest,
    Notice,
    RecipientRequest,
    Returned,
)
from mta.model.value import value

BASIC = frozenset({"SIZE", "8BITMIME", "SMTPUTF8"})  # extensions that are always offered

Parameters = Mapping[str, str | None]  # names in capitals, values as they were written

_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u0080-\U0010ffff]+))?")
_XTEXT = r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})"  # RFC 3461 §4
_ADDRESS_TYPE = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?"
_UNICODE = r"[\u0080-\U0010ffff]"  # utf-8-address-unitext of RFC 6533 §3
_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"

MAX_ENVELOPE_ID = 100  # characters, RFC 3461 §4.4
MAX_ORIGINAL = 500  # characters of ORCPT, RFC 3461 §4.2

_UNKNOWN = Reply(555, "Parameter not recognised", 5, 4)
_TWO_HOLDS = Reply(501, "Expected HOLDFOR or HOLDUNTIL, not both", 5, 4)  # RFC 4865 §4
_PAST = Reply(501, "Expected more than 0 seconds for BY with R", 5, 4)  # RFC 2852 §4


class _Form(NamedTuple):
    """What a parameter belongs to, and what its value looks like."""

    extension: str
    shape: re.Pattern[str]
    expected: str


def _form(extension: str, shape: str, expected: str) -> _Form:
    return _Form(extension, re.compile(shape), expected)


_OF_MAIL = MappingProxyType(
    {
        "SIZE": _form("SIZE", r"[0-9]{1,20}", "SIZE=octets"),  # RFC 1870 §3
        "BODY": _form(
            "8BITMIME", r"(?i:7BIT|8BITMIME)", "BODY=7BIT or BODY=8BITMIME"
        ),  # RFC 6152 §2
        "SMTPUTF8": _form("SMTPUTF8", "", "SMTPUTF8 without a value"),  # RFC 6531 §3.4
        # Who the message is from for whom it came through: we trust nobody's word (RFC 4954 §5).
        "AUTH": _form("AUTH", rf"<>|{_XTEXT}{{1,500}}", "AUTH=<> or AUTH=mailbox"),
        "RET": _form("DSN", r"(?i:FULL|HDRS)", "RET=FULL or RET=HDRS"),  # RFC 3461 §4.3
        "ENVID": _form(
            "DSN",
            rf"(?=.{{1,{MAX_ENVELOPE_ID}}}\Z){_XTEXT}+",
            f"ENVID=xtext of up to {MAX_ENVELOPE_ID} characters",
        ),
        "REQUIRETLS": _form("REQUIRETLS", "", "REQUIRETLS without a value"),  # RFC 8689 §2
        "HOLDFOR": _form("FUTURERELEASE", r"[0-9]{1,9}", "HOLDFOR=seconds"),  # RFC 4865 §4
        "HOLDUNTIL": _form(
            "FUTURERELEASE", rf"{_MOMENT}[Zz]", "HOLDUNTIL=moment as in 2026-01-31T23:59:00Z"
        ),
        "BY": _form("DELIVERBY", r"-?[0-9]{1,9};(?i:[RN]T?)", "BY=seconds;R or BY=seconds;N"),
        "MT-PRIORITY": _form("MT-PRIORITY", r"-?[0-9]", "MT-PRIORITY=-9 to 9"),  # RFC 6710 §4.1
        "XVERP": _form("XVERP", "", "XVERP without a value"),  # as Postfix has it
    }
)
_OF_RCPT = MappingProxyType(
    {
        "NOTIFY": _form(  # RFC 3461 §4.1
            "DSN",
            r"(?i:NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2})",
            "NOTIFY=NEVER, or some of SUCCESS,FAILURE,DELAY",
        ),
        "ORCPT": _form(
            "DSN",
            rf"(?=.{{1,{MAX_ORIGINAL}}}\Z){_ADDRESS_TYPE};(?:{_XTEXT}|{_UNICODE})+",
            f"ORCPT=type;xtext of up to {MAX_ORIGINAL} characters",
        ),
    }
)


_ASKING = frozenset(_OF_MAIL) - {"SIZE", "BODY", "SMTPUTF8", "AUTH"}


@value
class Asked:
    """What MAIL's parameters ask for, with its times as the client gave them: from now on."""

    returned: Returned | None = None
    envelope_id: str = ""
    needs_tls: bool = False
    hold_for: int | None = None
    hold_until: float | None = None
    deliver_by: Deadline | None = None  # `at` in seconds from now
    priority: int = 0
    is_verp: bool = False

    def request(self, now: float) -> MessageRequest:
        """The same with moments, at `now` in Unix seconds."""
        by = self.deliver_by
        return MessageRequest(
            returned=self.returned,
            envelope_id=self.envelope_id,
            needs_tls=self.needs_tls,
            hold_until=self._hold_until(now),
            deadline=replace(by, at=now + by.at) if by else None,
            priority=self.priority,
            is_verp=self.is_verp,
        )

    def _hold_until(self, now: float) -> float:
        if self.hold_for is not None:
            return now + self.hold_for
        return self.hold_until or 0.0


NOTHING_ASKED = Asked()


def read_parameters(text: str) -> Parameters | Reply:
    """Names in capitals, values as they were written; None for a name that stands alone."""
    parameters: dict[str, str | None] = {}
    for word in filter(None, text.split(" ")):
        found = _PARAMETER.fullmatch(word)
        if found is None:
            return Reply(501, "Expected parameters like NAME or NAME=value", 5, 4)
        name = found[1].upper()
        if name in parameters:
            return Reply(501, f"Expected {name[:40]} once", 5, 4)
        parameters[name] = found[2]
    return parameters


def objection_to_mail(parameters: Parameters, offered: Collection[str]) -> Reply | None:
    """Why these do not stand behind MAIL; `offered` are the extensions in our answer to EHLO."""
    objection = _misfit(parameters, _OF_MAIL, offered)
    if objection is None and "HOLDFOR" in parameters and "HOLDUNTIL" in parameters:
        return _TWO_HOLDS
    return objection


def objection_to_rcpt(parameters: Parameters, offered: Collection[str]) -> Reply | None:
    """Why these do not stand behind RCPT; `offered` as above."""
    return _misfit(parameters, _OF_RCPT, offered)


def _misfit(
    parameters: Parameters, known: Mapping[str, _Form], offered: Collection[str]
) -> Reply | None:
    for name, text in parameters.items():
        form = known.get(name)
        if form is None or form.extension not in offered:
            return _UNKNOWN
        if not form.shape.fullmatch(text or ""):
            return Reply(501, f"Expected {form.expected}", 5, 4)
    return None


def asked_in(parameters: Parameters) -> Asked | Reply:
    """What parameters without objection ask of the message; the reply says what cannot be."""
    if _ASKING.isdisjoint(parameters):
        return NOTHING_ASKED
    moment = parameters.get("HOLDUNTIL")
    hold_until = _moment(moment) if moment else None
    if moment and hold_until is None:
        return Reply(501, f"Expected {_OF_MAIL['HOLDUNTIL'].expected}", 5, 4)
    by = _deadline(parameters.get("BY"))
    if by is not None and by.if_late is Late.RETURN and by.at <= 0:
        return _PAST
    returned, hold_for = parameters.get("RET"), parameters.get("HOLDFOR")
    return Asked(
        returned=Returned(returned.upper()) if returned else None,
        envelope_id=parameters.get("ENVID") or "",
        needs_tls="REQUIRETLS" in parameters,
        hold_for=int(hold_for) if hold_for else None,
        hold_until=hold_until,
        deliver_by=by,
        priority=int(parameters.get("MT-PRIORITY") or 0),
        is_verp="XVERP" in parameters,
    )


def asked_for_recipient(parameters: Parameters) -> RecipientRequest | Reply:
    """What parameters without objection ask for one recipient; the reply as above."""
    words, original = parameters.get("NOTIFY"), parameters.get("ORCPT") or ""
    if not words:
        return RecipientRequest(None, original) if original else NOTHING_FOR_RECIPIENT
    notices = [Notice(word) for word in words.upper().split(",")]
    if len(set(notices)) < len(notices):
        return Reply(501, f"Expected {_OF_RCPT['NOTIFY'].expected}, each once", 5, 4)
    return RecipientRequest(frozenset(notices), original)


def _deadline(text: str | None) -> Deadline | None:
    """What BY says, in seconds from now (RFC 2852 §4)."""
    if not text:
        return None
    seconds, _, mode = text.upper().partition(";")
    return Deadline(float(seconds), Late(mode[0]), is_traced=mode.endswith("T"))


def _moment(text: str) -> float | None:
    """Unix seconds of a moment in UTC, as RFC 3339 writes it; None where there is none such."""
    try:
        return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None
