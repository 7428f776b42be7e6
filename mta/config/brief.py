"""What a program that hands mail in has to know of the settings, read in a tenth of a second.

To check all settings takes three times as long, and users may read neither the keys nor the
passwords that they name. Whatever looks unusual here is left to the full reading.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mta.model.listener import LOOPBACK, Auth, Endpoint, Network, Place, TlsStart, UnixSocket

from mta.config.document import read_document
from mta.config.quantities import read_domain, read_duration, read_network, read_place, read_size

if TYPE_CHECKING:
    from mta.config.settings import Settings

CONFIG_VARIABLE = "MTA_CONFIG"  # in the environment: the path of the configuration
PREFIX = "MTA_"

_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not to listen
_LOCALHOST = "localhost"


@dataclass(frozen=True, slots=True)
class Brief:
    """Where to hand mail in, and what will be taken. Sizes are in octets.

    `hostname` is None where it is the machine's own. `doors` need neither TLS nor a login.
    `senders` are domains, none for any. `honours_keys`: a message that comes again under the same
    Idempotency-Key is taken once. The defaults are those of `Settings`.
    """

    hostname: str | None = None
    doors: tuple[Endpoint | UnixSocket, ...] = (Endpoint("127.0.0.1", 8025),)
    maildrop: Path | None = None
    senders: frozenset[str] = frozenset()
    message_size: int = 25 * 1024 * 1024
    line_length: int = 64 * 1024
    recipients: int = 1000
    honours_keys: bool = True


@dataclass(frozen=True, slots=True)
class _Listen:
    """What a listener says about who may come how."""

    place: Place
    tls: TlsStart = TlsStart.NONE
    auth: Auth = Auth.NONE
    networks: tuple[Network, ...] = LOOPBACK
    proxy: tuple[Network, ...] = field(default=())


def read_brief(path: Path | None, environment: Mapping[str, str]) -> Brief:
    """What the file says, and the environment. Raises ConfigError."""
    is_overlaid = any(name.startswith(PREFIX) and name != CONFIG_VARIABLE for name in environment)
    if not is_overlaid:
        document, problems = read_document(path) if path else ({}, [])
        try:
            if not problems:
                return _brief(document, path.parent if path else Path())
        except (TypeError, ValueError, KeyError, AttributeError):
            pass  # the full reading will say what is wrong
    from mta.config.loading import load_settings

    return brief_of(load_settings(path, environment))


def brief_of(settings: "Settings") -> Brief:
    """The same, from all settings."""
    limits = settings.limits
    return Brief(
        hostname=settings.hostname,
        doors=_doors(
            _Listen(one.address, one.tls, one.auth, one.networks, one.proxy)
            for one in settings.listen
        ),
        maildrop=settings.maildrop,
        senders=frozenset(settings.senders),
        message_size=limits.message_size,
        line_length=limits.line_length,
        recipients=limits.recipients,
        honours_keys=settings.history.keep > 0,
    )


def _brief(document: Mapping[str, Any], folder: Path) -> Brief:
    """Read plain data; raises all kinds of errors where it is not as it should be."""
    limits = _value(document, "limits", {})
    default = Brief()
    hostname = _value(document, "hostname", None)
    return Brief(
        hostname=None if hostname is None else read_domain(hostname),
        doors=_doors(_listen(entry or {}, folder) for entry in _list(document, "listen", [{}])),
        maildrop=_maildrop(document, folder),
        senders=frozenset(map(read_domain, _list(document, "senders", []))),
        message_size=_size(limits, "message_size", default.message_size),
        line_length=_size(limits, "line_length", default.line_length),
        recipients=_count(limits, "recipients", default.recipients),
        honours_keys=read_duration(_value(_value(document, "history", {}), "keep", "1d")) > 0,
    )


def _value(section: Mapping[str, Any], key: str, default: Any) -> Any:  # noqa: ANN401 - plain data
    """What a key has; a key with nothing after it is one left out."""
    found = section.get(key)
    return default if found is None else found


def _list(section: Mapping[str, Any], key: str, default: list[Any]) -> list[Any]:
    found = _value(section, key, default)
    if not isinstance(found, list):
        raise TypeError(key)
    return found


def _size(section: Mapping[str, Any], key: str, default: int) -> int:
    return read_size(section[key]) if _value(section, key, None) is not None else default


def _count(section: Mapping[str, Any], key: str, default: int) -> int:
    found = _value(section, key, default)
    if type(found) is not int:  # a boolean is none
        raise TypeError(key)
    return found


def _maildrop(document: Mapping[str, Any], folder: Path) -> Path | None:
    if "maildrop" not in document:
        return _path(_value(document, "spool", "spool"), folder) / "maildrop"
    return None if document["maildrop"] is None else _path(document["maildrop"], folder)


def _listen(entry: Mapping[str, Any], folder: Path) -> _Listen:
    place = read_place(_value(entry, "address", "127.0.0.1:8025"))
    if isinstance(place, UnixSocket):
        place = UnixSocket(str(_path(place.path, folder).absolute()))
    return _Listen(
        place,
        TlsStart(_value(entry, "tls", TlsStart.NONE)),
        Auth(_value(entry, "auth", Auth.NONE)),
        tuple(map(read_network, _list(entry, "networks", list(LOOPBACK)))),
        tuple(map(read_network, _list(entry, "proxy", []))),
    )


def _path(text: str, folder: Path) -> Path:
    if not text:  # which pathlib takes for this folder
        raise ValueError(text)
    return folder / Path(text).expanduser()


def _doors(listeners: Iterable[_Listen]) -> tuple[Endpoint | UnixSocket, ...]:
    found = (_door(listen) for listen in listeners)
    return tuple(door for door in found if door is not None)


def _door(listen: _Listen) -> Endpoint | UnixSocket | None:
    """Where a program of this machine may come in clear and unnamed; None where it may not."""
    if listen.tls is TlsStart.IMPLICIT or listen.auth is Auth.REQUIRED:
        return None
    place = listen.place
    if isinstance(place, UnixSocket):
        return place
    if not isinstance(place, Endpoint) or not place.port:
        return None
    host = _EVERYWHERE.get(place.host, place.host)
    if host == _LOCALHOST:
        return Endpoint(host, place.port)
    try:
        ours = ip_address(host)
    except ValueError:
        return None
    is_welcome = any(ours in network for network in listen.networks)
    is_proxy = any(ours in network for network in listen.proxy)
    return Endpoint(host, place.port) if is_welcome and ours.is_loopback and not is_proxy else None


def own_config(environment: Mapping[str, str], *, looks_here: bool) -> Path | None:
    """The configuration where none was named: the environment's, this folder's, the machine's.

    This folder may be anybody's, so it counts only where a person called us by our own name.
    """
    named = environment.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    folders = [Path(), Path("/etc/mta")] if looks_here else [Path("/etc/mta")]
    return next((path for folder in folders if (path := folder / "config.yaml").exists()), None)
