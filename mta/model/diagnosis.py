"""What an examination found."""

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How good it is."""

    OK = "ok"
    WARNING = "warning"  # some mail may suffer
    ERROR = "error"  # mail will not arrive as it should


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at. `text` is what was found; `cure` what to do, "" for nothing."""

    subject: str
    grade: Grade
    text: str
    cure: str = ""
