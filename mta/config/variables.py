"""The environment's variables, read by pydantic-settings."""

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
from pydantic_settings.sources.types import EnvNoneType

from mta.config.brief import PREFIX
from mta.config.settings import Settings


class _Form(Settings, BaseSettings):
    """The settings, in the shape that pydantic-settings asks for."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__")


class Variables(EnvSettingsSource):
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
