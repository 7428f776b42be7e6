"""MTA-STS: what a domain's TXT record and policy say, and which exchangers it lists (RFC 8461).

Both come from strangers. What is wrong with a policy is told in words, for reports and the log;
what it says beyond what we know is passed over.
"""

import re
from collections.abc import Iterable, Iterator

from mta.model.domain import TlsFailure
from mta.model.outcome import Outcome, Reply, Scope, Stage, Verdict
from mta.model.policy import HeldPolicy, StsMode, StsPolicy
from mta.model.text import printable_ascii

POLICY_PATH = "/.well-known/mta-sts.txt"
MAX_POLICY = 64 * 1024  # octets, RFC 8461 §3.3
MAX_AGE = 31_557_600  # seconds, RFC 8461 §3.2
MAX_PATTERNS = 500  # exchangers; a large provider lists some ten
RENEWAL = 86_400.0  # seconds that a policy is held before it is fetched anew, RFC 8461 §10.2
DISUSE = 30 * RENEWAL  # without mail, then it is not renewed any more

_RECORD = re.compile(r"v=STSv1[ \t]*;")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_AGE = re.compile(r"[0-9]{1,10}")
_PATTERN = re.compile(r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{1,63}")


class PolicyError(ValueError):
    """The text is no policy; says what was expected and what was found."""


def record_name(domain: str) -> str:
    """Where a domain says that it has a policy."""
    return f"_mta-sts.{domain}"


def policy_host(domain: str) -> str:
    """Who serves a domain's policy."""
    return f"mta-sts.{domain}"


def policy_id(texts: Iterable[str]) -> str | None:
    """The id of the policy that these TXT records announce; None: there is no policy.

    There must be one record of MTA-STS, and it must be right (RFC 8461 §3.1).
    """
    records = [text for text in texts if _RECORD.match(text)]
    if len(records) != 1:
        return None
    return _tags(records[0]).get("id")


def _tags(record: str) -> dict[str, str]:
    """The first value of each tag; {} where one that we know is wrong."""
    tags: dict[str, str] = {}
    for term in record.split(";"):
        name, equals, text = term.strip(" \t").partition("=")
        if equals:
            tags.setdefault(name, text)
    return tags if _ID.fullmatch(tags.get("id", "")) else {}


def read_policy(octets: bytes) -> StsPolicy:
    """The policy in what a domain's host served. Raises PolicyError.

    Of a field that is repeated the first counts, but for mx (RFC 8461 §3.2).
    """
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PolicyError(f"expected UTF-8: {error.reason}") from error
    fields: dict[str, str] = {}
    patterns: list[str] = []
    for name, found in _fields(text):
        if name == "mx":
            patterns.append(_pattern(found))
        fields.setdefault(name, found)
    if fields.get("version") != "STSv1":
        raise PolicyError(f"expected version: STSv1, {_got(fields.get('version'))}")
    policy = StsPolicy(_mode(fields.get("mode")), tuple(patterns), _age(fields.get("max_age")))
    if not patterns and policy.mode is not StsMode.NONE:
        raise PolicyError(f"expected at least one mx for mode: {policy.mode}, found none")
    if len(patterns) > MAX_PATTERNS:
        raise PolicyError(f"expected at most {MAX_PATTERNS} mx, got {len(patterns)}")
    return policy


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):
        bare = line.removesuffix("\r")
        if not bare.strip(" \t"):
            continue
        name, colon, found = bare.partition(":")
        if not colon or not _NAME.fullmatch(name):
            raise PolicyError(f"expected lines of a name, a colon and a value, {_got(bare)}")
        yield name, found.strip(" \t")


def _mode(text: str | None) -> StsMode:
    try:
        return StsMode(text or "")
    except ValueError as error:
        raise PolicyError(f"expected mode: enforce, testing or none, {_got(text)}") from error


def _age(text: str | None) -> int:
    if text is None or not _AGE.fullmatch(text):
        raise PolicyError(f"expected max_age: a number of seconds, {_got(text)}")
    return min(int(text), MAX_AGE)  # who wants to be protected for longer wants to be protected


def _pattern(text: str) -> str:
    pattern = text.lower().removesuffix(".")
    if len(pattern) > 255 or not _PATTERN.fullmatch(pattern):
        raise PolicyError(f"expected mx: a host's name, or *. before a domain, {_got(text)}")
    return pattern


def _got(text: str | None) -> str:
    return "found none" if text is None else f'got "{printable_ascii(text[:80])}"'


def lists(policy: StsPolicy, host: str) -> bool:
    """Whether a policy lists an exchanger; `host` is in lower-case A-labels.

    A star stands for one label, the leftmost, and for the whole of it (RFC 8461 §4.1).
    """
    parent = host.partition(".")[2]
    return host in policy.mx or (parent != "" and f"*.{parent}" in policy.mx)


def unlisted(host: str, domain: str) -> Outcome:
    """Why no mail for a domain goes to an exchanger that its policy does not list."""
    text = f"the MTA-STS policy of {domain} does not list {host}"
    return Outcome(
        Verdict.DEFERRED,
        Reply(451, text, 7, 5),
        Stage.TLS,
        Scope.HOST,
        tls_failure=TlsFailure.VALIDATION_FAILURE,
    )


def lines_of(policy: StsPolicy) -> list[str]:
    """The policy line by line, as reports have it (RFC 8460 §4.4)."""
    return [
        "version: STSv1",
        f"mode: {policy.mode}",
        *(f"mx: {pattern}" for pattern in policy.mx),
        f"max_age: {policy.max_age}",
    ]


def is_due(held: HeldPolicy, now: float) -> bool:
    """Whether to fetch a policy anew; one that is out of use is left to its end."""
    age = now - held.fetched_at
    return age >= min(RENEWAL, held.policy.max_age / 2) and now - held.used_at < DISUSE


def is_forgotten(held: HeldPolicy, now: float) -> bool:
    """Whether it counts no more, nor will by being renewed."""
    return now >= held.expires_at
