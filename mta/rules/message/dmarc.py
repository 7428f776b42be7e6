"""DMARC records: what a domain asks receivers to do (RFC 7489 §6.3)."""

import re
from collections.abc import Iterable

_VERSION = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)")
MAX_PARENTS = 8  # labels of a domain above which nobody looks (RFC 9989 §4.10)


def record_names(domain: str) -> list[str]:
    """Where the record that holds for `domain` may stand, its own place first."""
    labels = domain.split(".")
    parents = [".".join(labels[start:]) for start in range(1, len(labels) - 1)]
    return [f"_dmarc.{name}" for name in [domain, *parents[-MAX_PARENTS:]]]


def policy_among(texts: Iterable[str]) -> str | None:
    """The policy of the one record among these texts, in lower case; None: there is none.

    "" where the record has no policy that is known.
    """
    records = [text for text in texts if _VERSION.match(text)]
    if len(records) != 1:
        return None
    tags = (tag.partition("=") for tag in records[0].split(";"))
    found = {name.strip().lower(): value.strip().lower() for name, _, value in tags}
    policy = found.get("p", "")
    return policy if policy in ("none", "quarantine", "reject") else ""
