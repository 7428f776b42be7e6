"""What a header says of time: by when a message is to be there, whether it may wait for others."""

import re
from datetime import UTC, datetime

from mta.model.outcome import Reply
from mta.model.request import Deadline, Late

from mta.rules.message.headers import DEADLINE, Header, values_of

_PRECEDENCE = b"precedence"
_OF_LISTS = frozenset({b"list-unsubscribe", b"list-id"})
_MARKS = _OF_LISTS | {_PRECEDENCE, DEADLINE}
# What sendmail made of this field since the eighties: the first two are for people who wait.
_IS_BULK = {
    "special-delivery": False,
    "first-class": False,
    "list": True,
    "bulk": True,
    "junk": True,
}
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_VALUE = re.compile(
    r"(?:(?P<count>[0-9]{1,9}) ?(?P<unit>[smhd])|(?P<moment>[0-9T:.Z+-]{17,40}))"
    r"(?: ?; ?(?P<if_late>drop|report))?",
    re.IGNORECASE,
)
_LATE = {"drop": Late.DROP, "report": Late.FAIL}


def says_nothing(header: Header) -> bool:
    """Whether no field here is about time, as in nearly every message."""
    return header.names.isdisjoint(_MARKS)


def is_bulk(header: Header) -> bool:
    """Whether it is one of many that are alike: Precedence says so, or else a field of lists."""
    for word in values_of(header, _PRECEDENCE)[:1]:
        if (found := _IS_BULK.get(word.lower())) is not None:
            return found
    return not header.names.isdisjoint(_OF_LISTS)


def deadline_in(header: Header, now: float, starts_at: float = 0.0) -> Deadline | Reply | None:
    """The deadline in X-MTA-Deadline, or why that is none; of a message that starts at `starts_at`.

    All times are in Unix seconds. It ends with us: what is late is dropped, or reported where the
    field says so.
    """
    values = values_of(header, DEADLINE)
    if not values:
        return None
    found = _VALUE.fullmatch(values[0])
    at = None if found is None or len(values) > 1 else _moment(found, now)
    if found is None or at is None:
        return Reply(554, "Expected one X-MTA-Deadline such as 15m, or 15m; report", 6, 0)
    if at <= max(now, starts_at):
        return Reply(554, "The time that X-MTA-Deadline gives is over", 4, 7)
    return Deadline(at, _LATE[(found["if_late"] or "drop").lower()])


def _moment(found: re.Match[str], now: float) -> float | None:
    if found["count"]:
        return now + int(found["count"]) * _SECONDS[found["unit"].lower()]
    try:
        moment = datetime.fromisoformat(found["moment"].upper())
        return moment.astimezone(UTC).timestamp() if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
