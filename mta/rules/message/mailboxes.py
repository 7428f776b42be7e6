"""Lists of mailboxes as people write them into To and Cc, and on a command line (RFC 5322 §3.4).

Read strictly: what cannot be understood whole is an error, because a recipient that is passed
over is mail that is lost.
"""

import re
from collections.abc import Callable, Iterator

from mta.model.address import Address, AddressError, parse_address, refuse_unicode

_TOKEN = re.compile(
    r'(?P<space>\s+)|(?P<word>"(?:[^"\\]|\\.)*"|\[[^\[\]\\\s]*\]|[^\s"(),:;<>\[\]@.\\]+|[.@])'
    r"|(?P<mark>[,:;<>])|(?P<open>\()|(?P<other>.)",
    re.DOTALL,
)
_COMMENT = re.compile(r"[^()\\]|\\.|(?P<open>\()|(?P<close>\))", re.DOTALL)


class MailboxError(ValueError):
    """The text is no list of mailboxes; the message says what was expected and what was found."""


def mailboxes(
    text: str, *, hostname: Callable[[], str], to_ascii: Callable[[str], str] = refuse_unicode
) -> list[Address]:
    """The mailboxes in a list, those in groups too; one without a domain is of `hostname`.

    Raises MailboxError.
    """
    try:
        return [
            parse_address(spec if "@" in spec else f"{spec}@{hostname()}", to_ascii)
            for spec in _specs(text)
        ]
    except AddressError as error:
        raise MailboxError(str(error)) from error


def _specs(text: str) -> Iterator[str]:
    """What stands in each entry where its mailbox should, with neither comments nor white space."""
    outside: list[str] = []  # of the angle brackets
    inside: list[str] | None = None
    is_inside = False
    for kind, part in _tokens(text):
        if kind != "mark":
            (inside if is_inside and inside is not None else outside).append(part)
        elif part == "<" and inside is None:
            inside, is_inside, outside = [], True, []
        elif part == ">" and is_inside:
            is_inside = False
        elif part in ",;" and not is_inside:
            yield from _spec(outside, inside, text)
            outside, inside = [], None
        elif part == ":" and inside is None and "@" not in outside:
            outside = []  # it was the name of a group
        else:
            raise _no_list(text)
    if is_inside:
        raise _no_list(text)
    yield from _spec(outside, inside, text)


def _spec(outside: list[str], inside: list[str] | None, text: str) -> Iterator[str]:
    """The mailbox of one entry; none where the entry is empty."""
    if inside is not None and "".join(outside).strip():
        raise _no_list(text)  # something behind the closing bracket
    spec = _joined(outside if inside is None else inside)
    if " " in spec.partition('"')[0] or (inside is not None and not spec):
        raise _no_list(text)
    if spec:
        yield spec


def _joined(tokens: list[str]) -> str:
    """Put together; white space may stand around dots and @ (RFC 5322 §4.4), and means nothing."""
    parts: list[str] = []
    for token in tokens:
        if token in (".", "@"):
            while parts and parts[-1].isspace():
                parts.pop()
        elif token.isspace() and parts and parts[-1] in (".", "@"):
            continue
        parts.append(token)
    return "".join(" " if part.isspace() else part for part in parts).strip()


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while found := _TOKEN.match(text, place):
        kind = found.lastgroup or "other"
        place = found.end()
        if kind == "other":
            raise _no_list(text)
        if kind == "open":
            place = _end_of_comment(text, place)
            yield "space", " "
        else:
            yield kind, found[0]


def _end_of_comment(text: str, place: int) -> int:
    depth = 1
    while depth:
        found = _COMMENT.match(text, place)
        if found is None:
            raise _no_list(text)
        place = found.end()
        depth += (found["open"] is not None) - (found["close"] is not None)
    return place


def _no_list(text: str) -> MailboxError:
    shown = ascii(text[:80])
    return MailboxError(
        f"expected mailboxes with commas between them, got {shown}{'...' * (len(text) > 80)}"
    )
