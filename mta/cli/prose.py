"""The log on standard error: prose about ourselves, in which nobody else writes a line."""

import logging
import sys
from collections.abc import Iterable
from types import TracebackType

from mta.model.text import printable

_ErrorInfo = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


class Prose(logging.Formatter):
    """One line for a record, and the lines of its traceback, if any, below it.

    What moves a terminal, or would begin a line, is escaped: errors quote what strangers say.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return printable(super().formatMessage(record))

    def formatException(self, ei: _ErrorInfo) -> str:  # noqa: N802
        return _indented(super().formatException(ei).split("\n"))


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"    {printable(line)}" for line in lines)


def start_log(name: str) -> None:
    """Write the log to standard error; `name` says which process it is of."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Prose(f"%(levelname)s {name}%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
