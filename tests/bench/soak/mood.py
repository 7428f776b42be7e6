"""How the exchanger behaves in a spell; a file says it, so that it outlives the exchanger."""

import json
import os
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path


class Point(StrEnum):
    """Where a conversation may be lost."""

    CONNECT = "before the greeting"
    GREETING = "after the greeting"
    SENDER = "at MAIL"
    RECIPIENT = "at RCPT"
    DATA = "before 354"
    CONTENT = "in the middle of the content"
    DOT = "after the final dot, before its reply"
    REPLY = "after the reply to the final dot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """`drops` and `stalls` are chances (0 to 1) at each point of a conversation.

    A conversation that stalls is silent for `patience` seconds, which is more than the server
    has, and is then lost. `delay` is what a reply to a final dot takes. All recipients in the
    `shut` domains are put off; while `greylists`, those that begin with "later" are, once.
    """

    drops: float = 0.0
    stalls: float = 0.0
    patience: float = 6.0
    delay: float = 0.0
    shut: tuple[str, ...] = ()
    greylists: bool = False

    def write(self, path: Path) -> None:
        """Have it in a file, whole at any moment."""
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(self)))
        os.replace(temporary, path)

    @classmethod
    def read(cls, path: Path) -> "Mood":
        """What a file says."""
        raw = json.loads(path.read_text())
        return cls(**raw | {"shut": tuple(raw["shut"])})


CALM = Mood()
