"""The log: what strangers said in it neither moves a terminal nor begins a line."""

import io
import logging

import pytest

from mta.cli.prose import Prose


@pytest.fixture
def log() -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Prose("%(levelname)s %(message)s"))
    logger = logging.getLogger("tests.prose")
    logger.handlers = [handler]
    logger.propagate = False
    return logger, stream


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("a\nERROR forged", r"a\nERROR forged"),
        ("\x1b[2J\x9b1m\r", r"\x1b[2J\x9b1m\r"),
        ("\u202enna\u2028", r"\u202enna\u2028"),
        ("café", "café"),
    ],
)
def test_a_message_is_one_line(
    log: tuple[logging.Logger, io.StringIO], said: str, shown: str
) -> None:
    logger, stream = log

    logger.warning("%s: refused", said)

    assert stream.getvalue() == f"WARNING {shown}: refused\n"


def test_a_traceback_has_its_lines_and_no_others(
    log: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, stream = log
    try:
        int("\x1b]0;x\x07\rERROR forged")
    except ValueError:
        logger.exception("a fault")

    first, *trace = stream.getvalue().splitlines()
    assert first == "ERROR a fault"
    assert all(line.startswith("    ") and line.isprintable() for line in trace)
    assert trace[-1].endswith(r"'\x1b]0;x\x07\rERROR forged'")
