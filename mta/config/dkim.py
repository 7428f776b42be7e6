"""The keys that sign: those of the settings, and those that `mta dkim rotate` made.

The latter stand in a file of their own, the index, beside the keys themselves: it is state, which
commands and the server change, where the settings are for people alone. It can be read and
edited all the same; what is changed counts at once.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError

from mta.rules.message.dkimrecord import KeyKind
from mta.rules.message.keyterm import OVERLAP, KeyTerm

from mta.config.document import as_yaml, read_document
from mta.config.kinds import Domain, Duration, FilePath, Section
from mta.config.problems import ConfigError, rendered
from mta.config.quantities import read_selector
from mta.config.rewriting import locked, rewrite

INDEX = "keys.yaml"
MAX_OCTETS = 1024 * 1024
HEADER = """\
# The keys that `mta dkim rotate` made, and when each of them signs. Written by it and by the
# server, which keep no other comments; `mta dkim list` shows what it comes to.
#   signs_from   since when; none: it waits until the DNS shows its record
#   replaces     the selectors that sign no more since then; their records stay for the overlap

"""

EXPECTED_MOMENT = "expected a date such as 2026-12-01 or 2026-12-01T08:00:00Z"

Stamp = tuple[int, int, int, int]  # by which a changed file is known


def read_moment(value: object) -> float:
    """Unix seconds, from a date such as 2026-12-01 (its first moment), or one with a time; UTC."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    if not isinstance(moment, datetime):
        raise ValueError(EXPECTED_MOMENT)  # noqa: TRY004 - pydantic collects ValueErrors
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def shown_moment(at: float) -> str:
    """A moment as it would be written."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def shown_day(at: float) -> str:
    """The day of a moment."""
    return shown_moment(at).partition("T")[0]


Moment = Annotated[float, BeforeValidator(read_moment), PlainSerializer(shown_moment)]
Selector = Annotated[str, BeforeValidator(read_selector)]


class DkimKey(Section):
    """One key that signs the mail of one domain and of those below it."""

    domain: Domain
    selector: Selector
    key: FilePath
    signs_from: Moment | None = Field(default=None, alias="from")
    signs_until: Moment | None = Field(default=None, alias="until")

    @property
    def term(self) -> KeyTerm:
        """When it signs; what kind of a key it is, its file says."""
        return KeyTerm(
            self.domain,
            self.selector,
            KeyKind.RSA,
            -math.inf if self.signs_from is None else self.signs_from,
            math.inf if self.signs_until is None else self.signs_until,
        )


class RotatedKey(Section):
    """One key of the index; its file is DOMAIN.SELECTOR.pem beside it."""

    domain: Domain
    selector: Selector
    kind: KeyKind = KeyKind.RSA
    made: Moment
    signs_from: Moment | None = None
    replaces: tuple[Selector, ...] = ()
    overlap: Duration = OVERLAP

    @property
    def term(self) -> KeyTerm:
        """When it signs."""
        return KeyTerm(
            self.domain,
            self.selector,
            self.kind,
            self.signs_from,
            replaces=self.replaces,
            overlap=self.overlap,
            made_at=self.made,
        )


class _Index(Section):
    keys: tuple[RotatedKey, ...] = ()


def key_path(folder: Path, domain: str, selector: str) -> Path:
    """Where a key is kept."""
    return folder / f"{domain}.{selector}.pem"


@dataclass(slots=True)
class KeyIndex:
    """The index in a folder, as it was when it was last read; there need not be one."""

    folder: Path
    keys: tuple[RotatedKey, ...] = ()
    _stamp: Stamp | None = (0, 0, 0, 0)

    @property
    def path(self) -> Path:
        """Its file."""
        return self.folder / INDEX

    @property
    def has_changed(self) -> bool:
        """Whether the file is another than the one that was read, or was never read."""
        return self._stamp != self._stamp_now()

    def read(self) -> tuple[RotatedKey, ...]:
        """The keys in it. Raises ConfigError; `keys` are then as they were."""
        self._stamp = self._stamp_now()
        self.keys = _read(self.path)
        return self.keys

    def change(self, change: Callable[[Sequence[RotatedKey]], Sequence[RotatedKey]]) -> None:
        """Change the file while nobody else does; `keys` are then those in it.

        Raises ConfigError, and OSError where it cannot be written.
        """
        with locked(self.path) as real:
            keys = tuple(change(_read(real)))
            plain = [key.model_dump(mode="json", exclude_none=True) for key in keys]
            rewrite(real, HEADER + as_yaml({"keys": plain}))
        self.read()

    def _stamp_now(self) -> Stamp | None:
        try:
            now = self.path.stat()
        except OSError:  # none yet; what else is wrong is said by reading it
            return None
        return (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns)


def _read(path: Path) -> tuple[RotatedKey, ...]:
    try:
        is_there = path.exists()
    except OSError as error:  # the folder is shut to us: there may be an index, or not
        raise ConfigError(
            [
                f"{path}: {error.strerror}; let the user that mta runs as read the folder, or name "
                "another in dkim_keys"
            ]
        ) from error
    if not is_there:
        return ()
    document, problems = read_document(path, MAX_OCTETS)
    try:
        keys = _Index.model_validate(document).keys
    except ValidationError as error:
        problems += [rendered(mistake, _Index) for mistake in error.errors(include_url=False)]
        keys = ()
    problems += _repeated(keys)
    if problems:
        raise ConfigError([f"{path}: {problem.removeprefix(f'{path}: ')}" for problem in problems])
    return keys


def _repeated(keys: Sequence[RotatedKey]) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    for place, key in enumerate(keys):
        name = (key.domain, key.selector)
        if name in seen:
            yield f"keys[{place}]: expected each selector of a domain once, got {name[1]} again"
        seen.add(name)
