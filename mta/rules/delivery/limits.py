"""What a server says that it takes at most (RFC 9422), read and obeyed."""

import re
from collections.abc import Collection, Sequence

from mta.model.address import Address
from mta.model.value import value

_WORD = re.compile(r"([A-Z0-9][A-Z0-9-]*)=([1-9][0-9]{0,5})", re.ASCII)


@value
class Limits:
    """At most so many: None where nothing was said.

    `mails` are transactions in a session, `recipients` are of one transaction, and `domains` are
    those of all recipients in a session.
    """

    mails: int | None = None
    recipients: int | None = None
    domains: int | None = None


NO_LIMITS = Limits()


def limits_in(text: str) -> Limits:
    """What stands behind LIMITS. What is unknown or cannot be read limits nothing."""
    words = filter(None, map(_WORD.fullmatch, text.upper().split()))
    numbers = {word[1]: int(word[2]) for word in words}
    return Limits(numbers.get("MAILMAX"), numbers.get("RCPTMAX"), numbers.get("RCPTDOMAINMAX"))


def within(
    limits: Limits,
    places: Sequence[int],
    recipients: Sequence[Address],
    *,
    mails: int,
    domains: Collection[str],
) -> list[int]:
    """Those of `places` that the next transaction may be for: none where the session is used up.

    `mails` transactions were begun in the session, with recipients at `domains`.
    """
    if limits.mails is not None and mails >= limits.mails:
        return []
    found: list[int] = []
    seen = set(domains)
    for place in places:
        if limits.recipients is not None and len(found) == limits.recipients:
            break
        domain = recipients[place].domain
        if limits.domains is None or domain in seen or len(seen) < limits.domains:
            seen.add(domain)
            found.append(place)
    return found
