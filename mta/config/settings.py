"""The settings: every key of config.yaml with its type, its bounds and its default.

All of it is frozen. What each key means to an operator stands in config.yaml.example.
"""

import socket
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from mta.rules.submission.content import BareNewlines
from mta.rules.submission.preflight import Preflight

from mta.config.delivery import Delivery, Dns
from mta.config.dkim import DkimKey
from mta.config.doors import Admin, Limits, Listen, Quotas, Tls
from mta.config.forwarding import Forwarding
from mta.config.kinds import DAY, Domain, Duration, DurationOrZero, FilePath, Section
from mta.config.pacing import SitePacing
from mta.config.quantities import read_domain
from mta.config.refusals import Refusal
from mta.config.routes import NamedSmarthost, Route, Smarthost
from mta.config.tlsreports import TlsReports

MAX_PROCESSES = 64
MAILDROP = "maildrop"  # in the spool's folder
_IN_THE_SPOOL = Path("spool", MAILDROP)  # this object: nobody wrote it


def _not_postgresql(value: object) -> object:
    if isinstance(value, str) and value.partition("://")[0] in ("postgresql", "postgres"):
        raise ValueError("expected a folder (a spool in PostgreSQL is not in this version)")
    return value


def _auto_or_count(value: object) -> object:
    if value in ("auto", None):
        return None
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).isdigit():
        raise ValueError("expected auto or a number")
    if not 1 <= int(value) <= MAX_PROCESSES:
        raise ValueError(f"expected 1 to {MAX_PROCESSES}")
    return int(value)


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


class Keep(Section):
    """How long copies of what is settled are kept."""

    sent: DurationOrZero = 0.0
    failed: DurationOrZero = 7 * DAY


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
    smarthosts: tuple[NamedSmarthost, ...] = ()
    routes: tuple[Route, ...] = ()
    delivery: Delivery = Delivery()
    pacing: tuple[SitePacing, ...] = ()
    dns: Dns = Dns()
    dkim: tuple[DkimKey, ...] = ()
    dkim_keys: FilePath = Field(default=Path("keys"), validate_default=True)
    admin: Admin | None = Admin()
    refusals: tuple[Refusal, ...] = ()
    history: History = History()
    forwarding: Forwarding | None = None
    tls_reports: TlsReports | None = None
    log: Log = Log()
    shutdown: DurationOrZero = 30.0
    processes: Processes = None

    def smarthosts_named(self, name: str) -> tuple[Smarthost, ...]:
        """The one of this name, or, for "", those of delivery.smarthost, in their order."""
        given = self.delivery.smarthost
        if not name and not isinstance(given, tuple):
            return (given,) if given else ()
        names = given if isinstance(given, tuple) and not name else (name,)
        by_name = {one.name: one for one in self.smarthosts}
        return tuple([by_name[name] for name in names if name in by_name])

    def shown(self) -> dict[str, object]:
        """Every key as config.yaml would have it, with secrets hidden."""
        return self.model_dump(mode="json", by_alias=True)
