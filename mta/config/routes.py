"""The settings of routes: which mail takes which road, and the servers that they name."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, ValidationInfo

from mta.model.domain import TlsLevel
from mta.model.listener import TlsStart

from mta.rules.routes.patterns import AddressPattern, Glob, read_pattern

from mta.config.kinds import Duration, FilePath, Port, Secret, Section, Text
from mta.config.quantities import read_domain, read_fingerprint, read_host
from mta.config.sources import SourceAddress
from mta.config.targets import Name, TargetField

_FIELD_NAME = re.compile("[!-9;-~]{1,76}")  # RFC 5322 §2.2


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _recipient(value: object) -> AddressPattern:
    if isinstance(value, AddressPattern):
        return value
    return read_pattern(value if isinstance(value, str) else "", read_domain)


def _sender(value: object) -> AddressPattern:
    if isinstance(value, AddressPattern):
        return value
    try:
        text = value if isinstance(value, str) else ""
        return read_pattern(text, read_domain, null_allowed=True)
    except ValueError as error:
        raise ValueError(f"{error}, or <> for reports") from error


def _glob(value: object) -> Glob:
    if isinstance(value, Glob):
        return value
    if not isinstance(value, str) or len(value) > 200:
        raise ValueError("expected a text of up to 200 characters, with * for anything")
    return Glob(value)


def _with_field_names(value: object) -> object:
    if isinstance(value, dict) and not all(_FIELD_NAME.fullmatch(str(name)) for name in value):
        raise ValueError("expected names of header fields such as X-Stream, and a pattern for each")
    return value


def _level(value: object) -> object:
    if value not in (TlsLevel.OPPORTUNISTIC, TlsLevel.REQUIRED, TlsLevel.VERIFY):
        raise ValueError("expected opportunistic, required or verify")
    return value


_Recipients = Annotated[
    tuple[Annotated[AddressPattern, BeforeValidator(_recipient), PlainSerializer(str)], ...],
    BeforeValidator(_as_list),
]
_Senders = Annotated[
    tuple[Annotated[AddressPattern, BeforeValidator(_sender), PlainSerializer(str)], ...],
    BeforeValidator(_as_list),
]
_Fingerprints = Annotated[
    tuple[Annotated[str, BeforeValidator(read_fingerprint)], ...], BeforeValidator(_as_list)
]
_Words = Annotated[tuple[Text, ...], BeforeValidator(_as_list)]
_Pattern = Annotated[Glob, BeforeValidator(_glob), PlainSerializer(str)]


class Smarthost(Section):
    """Another server that carries our mail on."""

    host: Annotated[str, BeforeValidator(read_host)]
    port: Port = 587
    tls: TlsStart = TlsStart.STARTTLS
    verify: bool = True
    fingerprints: _Fingerprints = ()
    username: Text | None = None
    password: Secret | None = None
    password_file: FilePath | None = None
    plaintext_login: bool = False


class NamedSmarthost(Smarthost):
    """One that routes, and delivery.smarthost, lead to by its name."""

    name: Name


def read_smarthost(value: object, info: ValidationInfo) -> Smarthost | tuple[str, ...] | None:
    """A smarthost, or the names of some in their order."""
    if value is None or isinstance(value, Smarthost):
        return value
    if isinstance(value, str | list | tuple):
        names = [value] if isinstance(value, str) else value
        if not names or not all(isinstance(name, str) and name for name in names):
            raise ValueError("expected a smarthost's keys, or names of smarthosts")
        return tuple(names)
    return Smarthost.model_validate(value, context=info.context)


def _shown(value: Smarthost | tuple[str, ...] | None) -> object:
    return value.model_dump(mode="json") if isinstance(value, Smarthost) else value


SmarthostOrNames = Annotated[
    Smarthost | tuple[str, ...] | None,
    PlainValidator(read_smarthost),
    PlainSerializer(_shown),
]


class Route(Section):
    """Some mail, told by who it is for, who sends it and what it says, and where it goes."""

    name: Name
    recipient: _Recipients = Field(default_factory=tuple)
    sender: _Senders = Field(default_factory=tuple)
    user: _Words = Field(default_factory=tuple)
    tag: _Words = Field(default_factory=tuple)
    header: Annotated[dict[str, _Pattern], BeforeValidator(_with_field_names)] = Field(
        default_factory=dict
    )
    via: Annotated[tuple[TargetField, ...], BeforeValidator(_as_list), Field(min_length=1)]
    retry: tuple[Duration, ...] | None = None
    give_up_after: Duration | None = None
    tls: Annotated[TlsLevel, BeforeValidator(_level)] | None = None
    fingerprints: _Fingerprints = ()
    sources: tuple[SourceAddress, ...] = ()
    pacing: Text | None = None

    @property
    def takes_all(self) -> bool:
        """Whether it fits all mail."""
        return not (self.recipient or self.sender or self.user or self.tag or self.header)
