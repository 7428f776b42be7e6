"""The settings: every key of config.yaml with its type, its bounds and its default.

All of it is frozen. Durations are seconds, sizes are octets, domains are lower-case A-labels.
What each key means to an operator stands in config.yaml.example.
"""

import os
import socket
from enum import StrEnum
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
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from mta.model.domain import TlsLevel
from mta.model.listener import LOOPBACK, Auth, Endpoint, Network, Place, TlsStart, UnixSocket

from mta.rules.delivery.progress import Mode
from mta.rules.submission.content import BareNewlines
from mta.rules.submission.preflight import Preflight

from mta.config.quantities import (
    read_domain,
    read_duration,
    read_endpoint,
    read_host,
    read_mode,
    read_nameserver,
    read_network,
    read_place,
    read_selector,
    read_size,
    shown_duration,
    shown_mode,
    shown_size,
)

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
KIB = 1024
MIB = 1024 * KIB
MAX_PROCESSES = 64
_LONGEST_SOCKET = 107  # octets of a Unix socket's path: sun_path in unix(7)
MAILDROP = "maildrop"  # in the spool's folder
_IN_THE_SPOOL = Path("spool", MAILDROP)  # this object: nobody wrote it


def _not_a_boolean(value: object) -> object:
    if isinstance(value, bool):  # which Python takes for a number
        raise ValueError("expected a whole number")  # noqa: TRY004 - pydantic collects ValueErrors
    return value


def _not_postgresql(value: object) -> object:
    if isinstance(value, str) and value.partition("://")[0] in ("postgresql", "postgres"):
        raise ValueError("expected a folder (a spool in PostgreSQL is not in this version)")
    return value


def _not_empty(value: object) -> object:
    if value == "":  # which pathlib takes for this folder
        raise ValueError("expected a path")
    return value


def _a_floor(value: object) -> object:
    # A road may do without TLS; to demand that it does helps nobody.
    if value not in (TlsLevel.OPPORTUNISTIC, TlsLevel.REQUIRED, TlsLevel.VERIFY):
        raise ValueError("expected opportunistic, required or verify")
    return value


def _none_or_implicit(value: object) -> object:
    if value not in (TlsStart.NONE, TlsStart.IMPLICIT):
        raise ValueError("expected none or implicit")
    return value


def _auto_or_count(value: object) -> object:
    if value in ("auto", None):
        return None
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).isdigit():
        raise ValueError("expected auto or a number")
    if not 1 <= int(value) <= MAX_PROCESSES:
        raise ValueError(f"expected 1 to {MAX_PROCESSES}")
    return int(value)


def _anchored(path: Path, info: ValidationInfo) -> Path:
    """A relative path, seen from the folder that the validation's context names."""
    return Path((info.context or {}).get("folder", "")) / path.expanduser()


def _anchored_place(place: Place, info: ValidationInfo) -> Place:
    """A place with an absolute path, if it has one, that the kernel has room for."""
    if not isinstance(place, UnixSocket):
        return place
    path = str(_anchored(Path(place.path), info).absolute())
    if len(os.fsencode(path)) > _LONGEST_SOCKET:
        raise ValueError(f"expected a path of at most {_LONGEST_SOCKET} octets")
    return UnixSocket(path)


def _default_hostname() -> str:
    for name in (socket.getfqdn(), socket.gethostname()):
        try:
            return read_domain(name)
        except ValueError:
            continue
    return "localhost"


def _or_in_the_spool(
    value: object, read: ValidatorFunctionWrapHandler, info: ValidationInfo
) -> object:
    """The default is in the spool's folder, which stands before it and may be wrong."""
    if value is _IN_THE_SPOOL:
        return info.data.get("spool", Path()) / MAILDROP
    return read(value)


Domain = Annotated[str, BeforeValidator(read_domain)]
Secret = Annotated[SecretStr, PlainSerializer(lambda _: "********")]
ListenPlace = Annotated[
    Place, BeforeValidator(read_place), AfterValidator(_anchored_place), PlainSerializer(str)
]
ListenAddress = Annotated[Endpoint, BeforeValidator(read_endpoint), PlainSerializer(str)]
Nameserver = Annotated[Endpoint, BeforeValidator(read_nameserver), PlainSerializer(str)]
FileMode = Annotated[int, BeforeValidator(read_mode), PlainSerializer(shown_mode)]
ClientNetwork = Annotated[Network, BeforeValidator(read_network)]
FilePath = Annotated[Path, BeforeValidator(_not_empty), AfterValidator(_anchored)]
Text = Annotated[str, Field(min_length=1)]
Whole = Annotated[int, BeforeValidator(_not_a_boolean)]
Count = Annotated[Whole, Field(ge=1)]
Port = Annotated[Whole, Field(ge=1, le=65535)]
DurationOrZero = Annotated[float, BeforeValidator(read_duration), PlainSerializer(shown_duration)]
Duration = Annotated[DurationOrZero, Field(gt=0)]
SizeOrZero = Annotated[int, BeforeValidator(read_size), PlainSerializer(shown_size)]
Size = Annotated[SizeOrZero, Field(ge=512)]  # the least for a command, RFC 5321 §4.5.3.1.4

# None: as many as are of use
Processes = Annotated[
    int | None,
    BeforeValidator(_auto_or_count),
    PlainSerializer(lambda count: count or "auto"),
]


class EventStyle(StrEnum):
    """How events are written."""

    AUTO = "auto"  # for people on a terminal, JSON lines elsewhere
    JSON = "json"
    PEOPLE = "people"


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


class Keep(Section):
    """How long copies of what is settled are kept."""

    sent: DurationOrZero = 0.0
    failed: DurationOrZero = 7 * DAY


class Smarthost(Section):
    """Another server that carries our mail on."""

    host: Annotated[str, BeforeValidator(read_host)]
    port: Port = 587
    tls: TlsStart = TlsStart.STARTTLS
    verify: bool = True
    username: Text | None = None
    password: Secret | None = None
    password_file: FilePath | None = None
    plaintext_login: bool = False


class Timeouts(Section):
    """How long a peer may take, stage by stage (RFC 5321 §4.5.3.2)."""

    connect: Duration = 30.0
    greeting: Duration = 5 * MINUTE
    command: Duration = 5 * MINUTE
    data: Duration = 2 * MINUTE
    block: Duration = 3 * MINUTE
    final_dot: Duration = 10 * MINUTE


class Delivery(Section):
    """How mail is carried."""

    mode: Mode = Mode.DIRECT
    smarthost: Smarthost | None = None
    port: Port = 25
    private_addresses: bool = False
    tls: Annotated[TlsLevel, BeforeValidator(_a_floor)] = TlsLevel.OPPORTUNISTIC
    retry: tuple[Duration, ...] = (
        MINUTE,
        5 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        HOUR,
        4 * HOUR,
        8 * HOUR,
    )
    give_up_after: Duration = 5 * DAY
    delay_report_after: DurationOrZero = 4 * HOUR
    concurrency: Count = 100
    per_destination: Count = 10
    messages_per_connection: Count = 100
    linger: DurationOrZero = 1.0
    hosts_per_attempt: Count = 10
    timeouts: Timeouts = Timeouts()


class Dns(Section):
    """Whom to ask for names; no nameservers: the system's."""

    nameservers: tuple[Nameserver, ...] = ()
    timeout: Duration = 10.0


class DkimKey(Section):
    """One key that signs the mail of one domain and of those below it."""

    domain: Domain
    selector: Annotated[str, BeforeValidator(read_selector)]
    key: FilePath


class Admin(Section):
    """The HTTP listener."""

    address: ListenAddress = Endpoint("127.0.0.1", 8026)
    tls: Annotated[TlsStart, BeforeValidator(_none_or_implicit)] = TlsStart.NONE
    plaintext_tokens: bool = False


class History(Section):
    """What is remembered of messages that were handed in by HTTP, or with an Idempotency-Key.

    `folder` is None for one in the spool's.
    """

    keep: DurationOrZero = 7 * DAY
    keys: Duration = DAY
    folder: FilePath | None = None


class Log(Section):
    """What is written and how."""

    events: EventStyle = EventStyle.AUTO


class Settings(Section):
    """All settings, checked and frozen."""

    hostname: Domain = Field(default_factory=_default_hostname)
    spool: Annotated[FilePath, BeforeValidator(_not_postgresql)] = Field(
        default=Path("spool"), validate_default=True
    )
    maildrop: Annotated[FilePath | None, WrapValidator(_or_in_the_spool)] = Field(
        default=_IN_THE_SPOOL, validate_default=True
    )
    listen: tuple[Listen, ...] = (Listen(),)
    tls: Tls = Tls()
    users: FilePath | None = None
    senders: tuple[Domain, ...] = ()
    bare_newlines: BareNewlines = BareNewlines.NORMALISE
    preflight: Preflight = Preflight.WARN
    limits: Limits = Limits()
    quotas: Quotas = Quotas()
    keep: Keep = Keep()
    delivery: Delivery = Delivery()
    dns: Dns = Dns()
    dkim: tuple[DkimKey, ...] = ()
    admin: Admin | None = Admin()
    history: History = History()
    log: Log = Log()
    shutdown: DurationOrZero = 30.0
    processes: Processes = None

    def shown(self) -> dict[str, object]:
        """Every key as config.yaml would have it, with secrets hidden."""
        return self.model_dump(mode="json")
