"""Where a route leads: "mx", a smarthost's name, smtp://host:port, lmtp:/path and the like."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo

from mta.config.kinds import anchored
from mta.config.quantities import UnknownHost, read_host, read_port


class Kind(StrEnum):
    """What a route leads to."""

    MX = "mx"  # each domain's own exchangers
    SMARTHOST = "smarthost"  # `place` is its name, "" for delivery.smarthost
    SMTP = "smtp"  # these three: `place` is a host, or a Unix socket's path where `port` is 0
    SMTPS = "smtps"
    LMTP = "lmtp"
    MAILDIR = "maildir"  # `place` is a folder
    DISCARD = "discard"


@dataclass(frozen=True, slots=True)
class Target:
    """One end of a route."""

    kind: Kind
    place: str = ""
    port: int = 0

    @property
    def is_tcp(self) -> bool:
        """Whether it names a host that is reached by TCP."""
        return self.port > 0

    def __str__(self) -> str:
        if self.is_tcp:
            host = f"[{self.place}]" if ":" in self.place else self.place
            return f"{self.kind}://{host}:{self.port}"
        if self.kind is Kind.SMARTHOST:
            return self.place or self.kind
        return f"{self.kind}:{self.place}" if self.place else self.kind


PORTS = {Kind.SMTP: 25, Kind.SMTPS: 465, Kind.LMTP: 24}  # where none is named
_WORDS = {kind: Target(kind) for kind in (Kind.MX, Kind.SMARTHOST, Kind.DISCARD)}
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_EXPECTED = (
    "expected mx, smarthost, a name of smarthosts, smtp://host:port, smtps://host:port, "
    "lmtp://host:port, lmtp:/path, smtp:/path, maildir:/path or discard"
)


def read_name(value: object) -> str:
    """The name of a route or a smarthost."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError("expected a name of letters, digits and - such as office")
    if value.lower() in (*_WORDS, "default"):
        raise ValueError(f"expected another name: {value.lower()} has a meaning of its own")
    return value


def read_target(value: object, info: ValidationInfo) -> Target:
    """One end of a route; a path in it is relative to the configuration's folder."""
    if isinstance(value, Target):
        return value
    text = value if isinstance(value, str) else ""
    if text in _WORDS:
        return _WORDS[Kind(text)]
    kind, colon, rest = text.partition(":")
    if not colon and _NAME.fullmatch(text):
        return Target(Kind.SMARTHOST, text)
    if kind in PORTS and rest.startswith("//"):
        return _by_tcp(Kind(kind), rest[2:])
    if kind in (Kind.SMTP, Kind.LMTP) and rest.startswith(("/", "./", "~/")) and "\0" not in rest:
        return Target(Kind(kind), str(anchored(Path(rest), info)))
    if kind == Kind.MAILDIR and rest and "\0" not in rest:
        return Target(Kind.MAILDIR, str(anchored(Path(rest), info)))
    raise ValueError(_EXPECTED)


def _by_tcp(kind: Kind, text: str) -> Target:
    if "@" in text:
        raise ValueError("expected no login here: a server that wants one belongs in smarthosts")
    text = text.removesuffix("/")
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(PORTS[kind])
    is_unclear = ":" in host and not host.startswith("[")  # which colon begins the port?
    try:
        return Target(kind, read_host("" if is_unclear else host), read_port(port, least=1))
    except UnknownHost as error:
        raise ValueError(
            f"expected {kind}://host:port such as {kind}://mail.example.com:{PORTS[kind]}"
        ) from error


Name = Annotated[str, BeforeValidator(read_name)]
TargetField = Annotated[Target, BeforeValidator(read_target), PlainSerializer(str)]
