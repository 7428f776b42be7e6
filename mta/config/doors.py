"""The settings of the ways in: who may hand in what, where, and how much."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo

from mta.model.listener import LOOPBACK, Auth, Endpoint, Network, Place, TlsStart, UnixSocket

from mta.config.kinds import (
    DAY,
    KIB,
    MIB,
    MINUTE,
    Count,
    Duration,
    DurationOrZero,
    FilePath,
    Section,
    Size,
    SizeOrZero,
    Text,
    Whole,
    anchored,
)
from mta.config.quantities import read_endpoint, read_mode, read_network, read_place, shown_mode

_LONGEST_SOCKET = 107  # octets of a Unix socket's path: sun_path in unix(7)


def _none_or_implicit(value: object) -> object:
    if value not in (TlsStart.NONE, TlsStart.IMPLICIT):
        raise ValueError("expected none or implicit")
    return value


def _anchored_place(place: Place, info: ValidationInfo) -> Place:
    """A place with an absolute path, if it has one, that the kernel has room for."""
    if not isinstance(place, UnixSocket):
        return place
    path = str(anchored(Path(place.path), info).absolute())
    if len(os.fsencode(path)) > _LONGEST_SOCKET:
        raise ValueError(f"expected a path of at most {_LONGEST_SOCKET} octets")
    return UnixSocket(path)


ListenPlace = Annotated[
    Place, BeforeValidator(read_place), AfterValidator(_anchored_place), PlainSerializer(str)
]
ListenAddress = Annotated[Endpoint, BeforeValidator(read_endpoint), PlainSerializer(str)]
FileMode = Annotated[int, BeforeValidator(read_mode), PlainSerializer(shown_mode)]
ClientNetwork = Annotated[Network, BeforeValidator(read_network)]


class Listen(Section):
    """One listener."""

    address: ListenPlace = Endpoint("127.0.0.1", 8025)
    mode: FileMode = 0o660
    group: Text | None = None
    tls: TlsStart = TlsStart.NONE
    auth: Auth = Auth.NONE
    networks: tuple[ClientNetwork, ...] = LOOPBACK
    plaintext_auth: bool = False
    proxy: tuple[ClientNetwork, ...] = ()


class Tls(Section):
    """The listeners' certificate; both None: self-signed, made at the first start."""

    certificate: FilePath | None = None
    key: FilePath | None = None


class Limits(Section):
    """What one client, one message and the whole of it may take."""

    message_size: Size = 25 * MIB
    recipients: Count = 1000
    command_length: Size = 2 * KIB
    line_length: Annotated[SizeOrZero, Field(ge=1000)] = 64 * KIB  # RFC 5321 §4.5.3.1.6
    idle: Duration = 5 * MINUTE
    errors: Count = 20
    error_delay: DurationOrZero = 1.0
    junk_commands: Count = 100
    connections: Count = 1000
    connections_per_client: Count = 500
    buffer: Size = 256 * MIB
    hold: DurationOrZero = 30 * DAY
    queue: Count = 1_000_000
    disk_low: SizeOrZero = 64 * MIB
    disk_high: SizeOrZero = 128 * MIB
    inodes_low: Annotated[Whole, Field(ge=0)] = 1000
    inodes_high: Annotated[Whole, Field(ge=0)] = 2000


class Quota(Section):
    """How much is taken within some time; None: no limit."""

    messages: Count | None = None
    recipients: Count | None = None
    size: Size | None = None
    connections: Count | None = None


class Quotas(Section):
    """How much is taken from each client's address, and from all clients together."""

    client_per_hour: Quota = Quota()
    client_per_day: Quota = Quota()
    total_per_hour: Quota = Quota()
    total_per_day: Quota = Quota()


class Admin(Section):
    """The HTTP listener."""

    address: ListenAddress = Endpoint("127.0.0.1", 8026)
    tls: Annotated[TlsStart, BeforeValidator(_none_or_implicit)] = TlsStart.NONE
    plaintext_tokens: bool = False
