"""What will surprise about a message: large receivers refuse or hide what these find.

Nothing here is an error. Each caveat has a word for programs and a sentence for people.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum

from mta.model.address import Address
from mta.model.order import Caveat
from mta.model.outcome import Reply

from mta.rules.message.headers import Header

MAX_LINE = 998  # octets without CRLF, RFC 5322 §2.1.1
MANY = 50  # recipients: a message to so many at once is bulk mail

_BULK = re.compile(rb"precedence[ \t]*:\s*(?:bulk|list|junk)\s*", re.IGNORECASE)
_ONE_CLICK = frozenset({b"list-unsubscribe", b"list-unsubscribe-post"})  # RFC 8058
_NAMED = frozenset({b"to", b"cc"})

NO_FROM = Caveat("no-from", "expected an address in From")
NO_TO = Caveat("no-to", "expected a field To or Cc")
NO_SUBJECT = Caveat("no-subject", "expected a field Subject")
LONG_LINE = Caveat("long-line", f"expected lines of at most {MAX_LINE} octets")
NO_UNSUBSCRIBE = Caveat(
    "no-unsubscribe", "expected List-Unsubscribe and List-Unsubscribe-Post in bulk mail"
)


class Preflight(StrEnum):
    """What becomes of a message with caveats that came by SMTP."""

    OFF = "off"  # not even looked for
    WARN = "warn"
    REFUSE = "refuse"


def caveats(
    header: Header,
    *,
    author: str | None,
    sender: Address | None,
    recipients: int,
    signs: Callable[[str], bool],
) -> Iterator[Caveat]:
    """All of a message's. `author` is the domain in From; `signs` knows those with a key."""
    names = header.names
    if author is None:
        yield NO_FROM
    elif not signs(author):
        yield Caveat("no-key", f"expected a DKIM key of {author}, the domain in From")
    if author is not None and sender is not None and not _is_aligned(sender.domain, author):
        yield Caveat(
            "misaligned",
            f"expected a sender at {author}, the domain in From, got one at {sender.domain}",
        )
    if names.isdisjoint(_NAMED):
        yield NO_TO
    if b"subject" not in names:
        yield NO_SUBJECT
    if not names >= _ONE_CLICK and (recipients > MANY or _is_bulk(header)):
        yield NO_UNSUBSCRIBE
    if _has_long_line(header.content):
        yield LONG_LINE


def refusal_for(found: Sequence[Caveat]) -> Reply:
    """The reply to a message that is not taken for its caveats' sake."""
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return Reply(554, f"{found[0].code}: {found[0].text}{more}", 6, 0)


def in_short(found: Sequence[Caveat]) -> str:
    """How many there are, to stand behind the reply to a message that is taken."""
    if not found:
        return ""
    return f" ({len(found)} warning{'s' if len(found) > 1 else ''}: {found[0].code})"


def _is_aligned(one: str, other: str) -> bool:
    """Whether one domain is the other or stands below it: relaxed, as far as names alone tell.

    Two below a third may belong together too (RFC 7489 §3.1.1); to know takes a list of suffixes.
    """
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def _is_bulk(header: Header) -> bool:
    if b"list-id" in header.names:
        return True
    return b"precedence" in header.names and any(
        _BULK.fullmatch(header.content, start, end)
        for name, start, end in header.fields
        if name == b"precedence"
    )


def _has_long_line(content: bytes) -> bool:
    """Look backwards from where each line must have ended at the latest: few, short looks."""
    start = 0
    while len(content) - start > MAX_LINE + 2:
        newline = content.rfind(b"\n", start, start + MAX_LINE + 2)
        if newline < 0:
            return True
        start = newline + 1
    return False
