"""The kinds of values that settings have, and what a group of keys is.

Durations are seconds, sizes are octets, domains are lower-case A-labels.
"""

from pathlib import Path
from typing import Annotated, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationInfo,
    model_validator,
)

from mta.config.quantities import (
    read_domain,
    read_duration,
    read_size,
    shown_duration,
    shown_size,
)

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
KIB = 1024
MIB = 1024 * KIB


def _not_a_boolean(value: object) -> object:
    if isinstance(value, bool):  # which Python takes for a number
        raise ValueError("expected a whole number")  # noqa: TRY004 - pydantic collects ValueErrors
    return value


def _not_empty(value: object) -> object:
    if value == "":  # which pathlib takes for this folder
        raise ValueError("expected a path")
    return value


def anchored(path: Path, info: ValidationInfo) -> Path:
    """A relative path, seen from the folder that the validation's context names."""
    return Path((info.context or {}).get("folder", "")) / path.expanduser()


Domain = Annotated[str, BeforeValidator(read_domain)]
Secret = Annotated[SecretStr, PlainSerializer(lambda _: "********")]
FilePath = Annotated[Path, BeforeValidator(_not_empty), AfterValidator(anchored)]
Text = Annotated[str, Field(min_length=1)]
Whole = Annotated[int, BeforeValidator(_not_a_boolean)]
Count = Annotated[Whole, Field(ge=1)]
Port = Annotated[Whole, Field(ge=1, le=65535)]
DurationOrZero = Annotated[float, BeforeValidator(read_duration), PlainSerializer(shown_duration)]
Duration = Annotated[DurationOrZero, Field(gt=0)]
SizeOrZero = Annotated[int, BeforeValidator(read_size), PlainSerializer(shown_size)]
Size = Annotated[SizeOrZero, Field(ge=512)]  # the least for a command, RFC 5321 §4.5.3.1.4


class Section(BaseModel):
    """A group of keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def without_voids(cls, data: object) -> object:
        """Take a key with nothing after it for one left out: all below it may be comments."""
        if not isinstance(data, dict):
            return data
        return {
            key: value for key, value in data.items() if value is not None or cls._has_none(key)
        }

    @classmethod
    def _has_none(cls, key: object) -> bool:
        """Whether `key` is unknown, which is reported elsewhere, or None is one of its values."""
        field = cls.model_fields.get(str(key))
        return field is None or type(None) in get_args(field.annotation)
