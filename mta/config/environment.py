"""Settings from the environment: MTA_DELIVERY__MODE=smarthost is delivery.mode.

Lists and whole sections are JSON; one entry of a list has its number for a name, as in
MTA_LISTEN__0__ADDRESS.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
from pydantic_settings.sources.types import EnvNoneType

from mta.config.settings import Settings

PREFIX = "MTA_"
# A service named "mta" makes Kubernetes and old Docker links set these; they are none of ours.
_FOREIGN = re.compile(r"MTA_(SERVICE_.*|PORT(_.*)?)")


def from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    """The settings that the environment gives, as plain data."""
    return _Source(environment)()


def foreign_names(environment: Mapping[str, str]) -> Iterator[str]:
    """Variables with our prefix that name no setting."""
    for name in sorted(environment):
        if not name.startswith(PREFIX) or _FOREIGN.fullmatch(name):
            continue
        if name.removeprefix(PREFIX).lower().partition("__")[0] not in Settings.model_fields:
            yield name


def overlaid(below: object, above: object) -> Any:  # noqa: ANN401 - plain data, before it is checked
    """`above` laid over `below`: sections key by key, entries of a list by their number."""
    if not isinstance(above, Mapping):
        return above
    is_numbered = bool(above) and all(str(key).isdecimal() for key in above)
    if is_numbered and (isinstance(below, list) or below is None):
        return _with_entries(below or [], above)
    if not isinstance(below, Mapping):
        return {key: overlaid(None, value) for key, value in above.items()}
    return {**below, **{key: overlaid(below.get(key), value) for key, value in above.items()}}


def _with_entries(below: list[object], above: Mapping[str, object]) -> list[object]:
    entries = list(below)
    for place, value in sorted((int(key), value) for key, value in above.items()):
        if place < len(entries):
            entries[place] = overlaid(entries[place], value)
        else:  # a gap is closed: MTA_LISTEN__5__… alone makes one listener
            entries.append(overlaid(None, value))
    return entries


class _Form(Settings, BaseSettings):
    """The settings, in the shape that pydantic-settings asks for."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__")


class _Source(EnvSettingsSource):
    """pydantic-settings' reading of the environment, from a mapping that is handed in."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        super().__init__(_Form, env_parse_none_str="null")

    def _load_env_vars(self) -> Mapping[str, str | None]:
        # Sorted, so that a section given whole comes before its keys given one by one.
        return {
            name.lower(): EnvNoneType(value) if value == self.env_parse_none_str else value
            for name, value in sorted(self._environment.items())
            if name.startswith(PREFIX)
        }

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ANN401 - the library's face
        """Read JSON; what is none goes on as it is, to be reported with all other mistakes."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value

    def next_field(
        self,
        field: FieldInfo | Any | None,  # noqa: ANN401 - the library's face
        key: str,
        case_sensitive: bool | None = None,
    ) -> FieldInfo | None:
        """Find the field that `key` names; a number names an entry of a list."""
        annotation = field.annotation if isinstance(field, FieldInfo) else field
        if key.isdecimal() and get_origin(annotation) is tuple:
            entry: FieldInfo = get_args(annotation)[0]  # a bare type, which the library takes too
            return entry
        return super().next_field(field, key, case_sensitive)
