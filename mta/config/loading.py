"""From the file and the environment to settings.

Mistakes are not reported one at a time: what pydantic refuses is noted and cut out of the data,
so that the rest can be read and checked for contradictions as well.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from mta.config.checks import contradictions
from mta.config.document import read_document
from mta.config.environment import foreign_names, from_environment, overlaid
from mta.config.problems import ConfigError, Location, path_of, rendered
from mta.config.routechecks import every_smarthost
from mta.config.routes import Smarthost
from mta.config.settings import Settings

MAX_SECRET = 4096  # octets


def load_settings(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """The settings of the file at `path` (None: no file), with the environment's laid over them.

    Relative paths in both are relative to the file's folder. Raises ConfigError, which names
    every mistake.
    """
    document, problems = read_document(path) if path else ({}, [])
    draft = Draft(overlaid(document, from_environment(environment)), problems)
    draft.problems += [f"{name}: expected a known key" for name in foreign_names(environment)]
    settings = draft.settings(folder=path.parent if path else Path())
    draft.note(contradictions(settings))
    settings = _with_passwords(settings, draft)
    if draft.problems:
        raise ConfigError(draft.problems)
    return settings


@dataclass
class Draft:
    """Settings in the making: raw data, what was wrong with it, and where it was cut."""

    data: dict[str, object]
    problems: list[str] = field(default_factory=list)
    cuts: set[Location] = field(default_factory=set)

    def settings(self, folder: Path) -> Settings:
        """What the data says, once every mistake in it is noted and cut out."""
        while True:
            try:
                return Settings.model_validate(self.data, context={"folder": folder})
            except ValidationError as error:
                mistakes = error.errors(include_url=False)
            if not self.cuts:  # what a cut leaves behind may be incomplete, by our doing
                self.problems += [rendered(mistake, Settings) for mistake in mistakes]
            self._cut({_extent(mistake["loc"], mistake["type"]) for mistake in mistakes})

    def note(self, objections: Iterable[tuple[str, str]]) -> None:
        """Add objections to keys, except where a cut may be what they object to."""
        cuts = [path_of(cut) for cut in self.cuts]
        for path, text in objections:
            if not any(_is_within(path, cut) or _is_within(cut, path) for cut in cuts):
                self.problems.append(f"{path}: {text}")

    def _cut(self, locations: set[Location]) -> None:
        if locations <= self.cuts:  # a default that is wrong cannot be cut out
            raise ConfigError(self.problems)
        self.cuts |= locations
        for location in sorted(locations, key=_in_order, reverse=True):  # higher places first
            _remove(self.data, location)


def _is_within(path: str, other: str) -> bool:
    """Whether a key is another one or stands below it."""
    return path == other or path.startswith((f"{other}.", f"{other}["))


def _extent(location: Location, kind: str) -> Location:
    """How much has to go: where a key is missing, all that misses it."""
    return location[:-1] if kind == "missing" else location


def _in_order(location: Location) -> list[str]:
    return [f"{part:06}" if isinstance(part, int) else part for part in location]


def _remove(data: Any, location: Location) -> None:  # noqa: ANN401 - plain data of any shape
    *way, last = location
    with suppress(LookupError, TypeError):  # it went with something larger
        for part in way:
            data = data[part]
        del data[last]


def secret_in(path: Path) -> str:
    """The text of a file that holds one secret, without the newline at its end.

    Raises ValueError, with words for the operator.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_SECRET + 1)
    except OSError as error:
        raise ValueError(f"expected a readable file, got {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"expected UTF-8 in {path}") from error
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret or len(text) > MAX_SECRET:
        raise ValueError(f"expected 1 to {MAX_SECRET} characters in {path}, found {len(text)}")
    return secret


def _with_passwords(settings: Settings, draft: Draft) -> Settings:
    """The settings with the passwords of all smarthosts that have them in files."""
    known = {here: _with_password(here, one, draft) for here, one in every_smarthost(settings)}
    named = [known[f"smarthosts[{place}]"] for place in range(len(settings.smarthosts))]
    smarthost = known.get("delivery.smarthost", settings.delivery.smarthost)
    delivery = settings.delivery.model_copy(update={"smarthost": smarthost})
    return settings.model_copy(update={"delivery": delivery, "smarthosts": tuple(named)})


def _with_password(here: str, smarthost: Smarthost, draft: Draft) -> Smarthost:
    if smarthost.password_file is None or smarthost.password is not None:
        return smarthost
    try:
        password = SecretStr(secret_in(smarthost.password_file))
    except ValueError as error:
        draft.note([(f"{here}.password_file", str(error))])
        return smarthost
    return smarthost.model_copy(update={"password": password})
