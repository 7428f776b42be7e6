"""Lines of a report: of seven bits, wrapped, none begun by what a stranger said."""

import textwrap
from datetime import UTC, datetime
from email.utils import format_datetime

from mta.model.text import printable_ascii

MAX_LINE = 998  # octets without the CRLF, RFC 5322 §2.1.1
_WIDTH = 76  # columns


def lines(*texts: str) -> str:
    """Each text with a CRLF."""
    return "".join(f"{text}\r\n" for text in texts)


def wrapped(text: str, *, indent: str = "", hanging: str = "") -> list[str]:
    """`text` in lines, the first after `indent`, the others after `indent` and `hanging`."""
    return textwrap.wrap(
        printable_ascii(text),
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_on_hyphens=False,
    )


def date(at: float) -> str:
    """A moment in Unix seconds as a Date field has it (RFC 5322 §3.3)."""
    return format_datetime(datetime.fromtimestamp(at, UTC))
