"""The users' file: who may log in, with what, to send what. `mta user` writes it.

A mapping from names to entries; every mistake in it is reported at once.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from mta.model.address import parse_address
from mta.model.user import Account, Allowance, User

from mta.rules.submission.sasl import MAX_NAME, prepared_name

from mta.edge.idn import to_ascii

from mta.config.document import read_document
from mta.config.kinds import Count, Section, Size, Text
from mta.config.problems import ConfigError, path_of, rendered
from mta.config.quantities import read_domain

MAX_OCTETS = 8 * 1024 * 1024

_HASH = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,3}),p=[0-9]{1,2}"
    r"\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}"
)
_MAX_MEMORY_KIB = 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")

Stamp = tuple[int, int, int, int]  # by which a changed file is known


def read_sender(value: object) -> str:
    """An address or a domain that a user may send from, in lower case."""
    if not isinstance(value, str) or "@" not in value:
        return read_domain(value)
    address = parse_address(value, to_ascii)
    return f"{address.local.lower()}@{address.domain}"


def objection_to_name(name: str) -> str | None:
    """Why a user cannot be called so; None if he can."""
    is_plain = all(unicodedata.category(c)[0] not in "CZ" for c in name)
    if not name or not is_plain or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME:
        return f"expected a name of 1 to {MAX_NAME} octets without blanks"
    if name != prepared_name(name):
        return f"expected a name in lower case, as in {prepared_name(name)}"
    return None


def _a_sender(value: object) -> str:
    try:
        return read_sender(value)
    except ValueError as error:
        raise ValueError("expected an address or a domain such as example.com") from error


def _a_hash(text: str) -> str:
    found = _HASH.fullmatch(text)
    if found is None or int(found[1]) > _MAX_MEMORY_KIB:
        raise ValueError("expected an argon2id hash, which mta user passwd makes")
    return text


def _a_digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise ValueError("expected a SHA-256 digest in hexadecimal, which mta user token makes")
    return text


class Token(Section):
    """What is kept of a token for the HTTP API."""

    sha256: Annotated[Text, AfterValidator(_a_digest)]
    label: Text | None = None
    created: Text | None = None

    @property
    def id(self) -> str:
        """By what it is told from others."""
        return self.sha256[:8]


class Allowed(Section):
    """How much a user may send within some time; None: as much as anybody."""

    messages: Count | None = None
    recipients: Count | None = None
    size: Size | None = None

    @property
    def allowance(self) -> Allowance:
        """The same as the quotas want it."""
        return Allowance(self.messages, self.recipients, self.size)


class Entry(Section):
    """One user."""

    password: Annotated[str, AfterValidator(_a_hash)] | None = Field(default=None, repr=False)
    senders: tuple[Annotated[str, BeforeValidator(_a_sender)], ...] = ()
    per_hour: Allowed = Allowed()
    per_day: Allowed = Allowed()
    tokens: tuple[Token, ...] = ()

    def account(self, name: str) -> Account:
        """The user of this name."""
        senders = frozenset(self.senders)
        user = User(name, senders, self.per_hour.allowance, self.per_day.allowance)
        return Account(user, self.password or "", frozenset(t.sha256 for t in self.tokens))


def read_users(path: Path) -> dict[str, Entry]:
    """The users in a file, by name. Raises ConfigError, which names every mistake."""
    document, problems = read_document(path, MAX_OCTETS)
    entries: dict[str, Entry] = {}
    for name, raw in document.items():
        objection = objection_to_name(name)
        if objection is not None:
            problems.append(f"{path_of((name,))}: {objection}")
        try:
            entries[name] = Entry.model_validate({} if raw is None else raw)
        except ValidationError as error:
            problems += _mistakes(name, error)
    problems += _repeated_tokens(entries)
    if problems:
        raise ConfigError([f"{path}: {problem.removeprefix(f'{path}: ')}" for problem in problems])
    return entries


def _mistakes(name: str, error: ValidationError) -> Iterator[str]:
    for mistake in error.errors(include_url=False):
        path, _, what = rendered(mistake, Entry).partition(": ")
        yield f"{path_of((name,))}{f'.{path}' if path else ''}: {what}"


def _repeated_tokens(entries: Mapping[str, Entry]) -> Iterator[str]:
    owners: dict[str, str] = {}
    for name, entry in entries.items():
        for place, token in enumerate(entry.tokens):
            owner = owners.setdefault(token.sha256, name)
            if owner != name:
                where = path_of((name, "tokens", place))
                yield f"{where}: expected each token once, found it with {owner} too"


class UsersFile:
    """The users' file as it was when it was last read."""

    def __init__(self, path: Path | None) -> None:
        """`path` None: there are no users."""
        self.path = path
        self.accounts: tuple[Account, ...] = ()
        self.is_broken = False  # what was read last was wrong
        self._stamp: Stamp | None = None

    @property
    def has_changed(self) -> bool:
        """Whether the file is another than the one that was read, or was never read."""
        return self._stamp != self._stamp_now()

    def read(self) -> tuple[Account, ...]:
        """The accounts in the file. Raises ConfigError; `accounts` are then as they were."""
        self._stamp = self._stamp_now()
        self.is_broken = True
        entries = self._entries()
        self.accounts = tuple(entry.account(name) for name, entry in entries.items())
        self.is_broken = False
        return self.accounts

    def _entries(self) -> dict[str, Entry]:
        if self.path is None:
            return {}
        if not self.path.exists():
            raise ConfigError([f"{self.path}: no such file; `mta user add NAME` makes it"])
        return read_users(self.path)

    def _stamp_now(self) -> Stamp | None:
        if self.path is None:
            return None
        try:
            now = self.path.stat()
        except OSError:  # what is wrong with it is said by reading it
            return (0, 0, 0, 0)
        return (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns)
