"""What one of several processes has of the settings."""

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mta.model.listener import Endpoint

from mta.config import Settings
from mta.config.doors import Listen, Quota, Quotas, Tls

MEASURED_CORES = 2  # up to here one process was the fastest: clients and peers need cores too


@dataclass(frozen=True, slots=True)
class Share:
    """The process `number` of `count`, from 0. `ports` are those of the listeners, in order.

    `sockets` are the descriptors of those that all processes have in common, by their place; such
    a listener's port is 0. `channel` is the descriptor by which it talks with the supervisor.
    """

    number: int
    count: int
    ports: tuple[int, ...]
    channel: int
    sockets: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def to_text(self) -> str:
        """As one argument of a command."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> "Share":
        """What `to_text` gave."""
        raw = json.loads(text)
        return cls(raw["number"], raw["count"], tuple(raw["ports"]), raw["channel"], raw["sockets"])

    def common_sockets(self) -> dict[str, list[socket.socket]]:
        """The sockets that all processes have in common; once, for they are ours from then on."""
        return {
            place: [socket.socket(fileno=descriptor) for descriptor in descriptors]
            for place, descriptors in self.sockets.items()
        }

    def of(self, settings: Settings) -> Settings:
        """The settings as this process has them."""
        limits = settings.limits
        return settings.model_copy(
            update={
                "spool": spool_of(settings.spool, self.number),
                "maildrop": None if self.number else settings.maildrop,  # one alone takes from it
                "tls": _tls_of_all(settings),
                "history": settings.history.model_copy(
                    update={
                        "folder": settings.history.folder or settings.spool / "history"
                    }  # one for all
                ),
                "admin": None if self.number else settings.admin,  # one door, at the first
                "listen": tuple(
                    _at_port(listen, port)
                    for listen, port in zip(settings.listen, self.ports, strict=True)
                ),
                "quotas": self._quotas_of(settings.quotas),
                "limits": limits.model_copy(
                    update={
                        "connections": self._part(limits.connections),
                        "buffer": max(limits.message_size, self._part(limits.buffer)),
                        "queue": self._part(limits.queue),
                    }
                ),
            }
        )

    def _quotas_of(self, quotas: Quotas) -> Quotas:
        """Its part of each: the kernel deals connections out evenly."""
        parts = {
            name: Quota(**{kind: limit and self._part(limit) for kind, limit in quota})
            for name, quota in quotas
        }
        return Quotas(**parts)

    def _part(self, whole: int) -> int:
        return -(-whole // self.count)


def process_count(setting: int | None, cores: int) -> int:
    """How many processes; None: as many as are of use on so many cores."""
    if setting is not None:
        return setting
    return 1 if cores <= MEASURED_CORES else cores - 1


def spool_of(folder: Path, number: int) -> Path:
    """The spool of one process: the first has the folder itself, others one in it."""
    return folder / f"process-{number + 1}" if number else folder


def spools_in(folder: Path) -> list[Path]:
    """The spools of all processes that are, or were: the folder itself, and some in it."""
    others = [path for path in folder.glob("process-*") if path.name[8:].isdigit()]
    return [folder, *sorted(others, key=number_of)]


def number_of(spool: Path) -> int:
    """The process whose spool it is."""
    return int(spool.name[8:]) - 1 if spool.name.startswith("process-") else 0


def _tls_of_all(settings: Settings) -> Tls:
    """The certificate, which all have in common although it is in the folder of one."""
    if settings.tls.certificate is not None:
        return settings.tls
    from mta.edge.certificates import self_signed_in  # with a library of 8 MB

    certificate, key = self_signed_in(settings.spool / "tls")
    return settings.tls.model_copy(update={"certificate": certificate, "key": key})


def _at_port(listen: Listen, port: int) -> Listen:
    if not isinstance(listen.address, Endpoint):
        return listen
    return listen.model_copy(update={"address": Endpoint(listen.address.host, port)})
