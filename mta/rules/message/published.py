"""Is what the DNS shows the record of our key? (RFC 6376 §3.6.1, RFC 8463 §4)"""

import re
from collections.abc import Iterator, Mapping

from mta.model.domain import Answer, Finding

from mta.rules.message.dkimrecord import DkimRecord

MAX_TEXT = 8192  # octets of a record that are looked at
MAX_SHOWN = 60
MAX_END = 24

_BLANKS = re.compile(r"[ \t\r\n]+")


def objection_to_published(record: DkimRecord, answer: Answer[str]) -> str | None:
    """Why receivers cannot verify with what `answer` holds what the key of `record` signs.

    None where they can. What a server said is escaped and bounded.
    """
    if answer.finding is Finding.UNKNOWN:
        return f"the DNS does not say: {answer.text}"
    if not answer.records:
        return "expected our record, found none"
    if len(answer.records) > 1:
        # Verifiers may take any of them, or none (RFC 6376 §3.6.2.2).
        return f"expected one record, found {len(answer.records)}"
    return next(_objections(record, tags_in(answer.records[0][:MAX_TEXT])), None)


def tags_in(text: str) -> dict[str, str]:
    """The tags of a record, values without white space (RFC 6376 §3.2); the first of a name."""
    tags: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            tags.setdefault(name.strip(), _BLANKS.sub("", value))
    return tags


def _objections(record: DkimRecord, tags: Mapping[str, str]) -> Iterator[str]:
    if tags.get("v", "DKIM1") != "DKIM1":
        yield f"expected v=DKIM1, found v={_shown(tags['v'])}"
    if tags.get("p") == "":
        yield "expected our key, found p= with nothing after it: the key is revoked"
    if "p" not in tags:
        yield "expected our key, found a record without p="
    if tags.get("k", "rsa") != record.kind:
        yield f"expected k={record.kind}, found k={_shown(tags.get('k', 'rsa'))}"
    if "sha256" not in tags.get("h", "sha256").split(":"):
        yield f"expected h=sha256 or no h=, found h={_shown(tags['h'])}"
    if not {"*", "email"} & set(tags.get("s", "*").split(":")):
        yield f"expected s=email or no s=, found s={_shown(tags['s'])}"
    if "y" in tags.get("t", "").split(":"):
        yield "found t=y, by which receivers take the mail as if it were not signed"
    if tags.get("p") != record.public:
        yield f"expected our key {_end(record.public)}, found {_end(tags['p'])}"


def _shown(text: str) -> str:
    return ascii(text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}...")[1:-1]


def _end(key: str) -> str:
    """The end of a public key: all RSA keys begin alike."""
    return ascii(key if len(key) <= MAX_END else f"...{key[-MAX_END:]}")[1:-1]
