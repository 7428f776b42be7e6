"""What a server of a zone says, asked directly: its records, or where to ask instead."""

from dataclasses import dataclass

from mta.model.domain import Answer


@dataclass(frozen=True, slots=True)
class Delegation:
    """The name is in a zone below: these hosts serve it, in lower case without the final dot."""

    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alias:
    """The name is another name for `name`, which this server knows nothing of."""

    name: str


ZoneAnswer = Answer[str] | Delegation | Alias


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one server of a zone shows of a record: all is well, or `objection` says what is not."""

    server: str
    objection: str | None = None

    def __str__(self) -> str:
        return f"{self.server}: {self.objection or 'shows it'}"
