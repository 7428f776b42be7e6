"""The workloads: what is sent, how, and what the world at the other end is like."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from tests.bench.children import BenchError

KIB = 1024
LIMIT = 300.0  # seconds that anything may take in which mail is sent or waited for


class Course(Enum):
    """What is done and measured."""

    LOAD = auto()  # send at full speed until all of it is at the sink
    LATENCY = auto()  # one session: from the final dot to its reply
    DEFERRAL = auto()  # all is put off; then a restart, and the sink takes it


@dataclass(frozen=True, slots=True)
class Workload:
    """One of them.

    `octets` are those of a body, `connections` the most to the sink at once; `is_kept`: a session
    of the client carries many messages. `reply_delay` and `sync_delay` are seconds by which the
    sink's replies and the disk's syncs are slow.
    """

    name: str
    about: str
    messages: int
    octets: int = 4 * KIB
    sessions: int = 20
    recipients: int = 1
    connections: int = 20
    is_kept: bool = False
    course: Course = Course.LOAD
    is_signed: bool = False
    reply_delay: float = 0.0
    sync_delay: float = 0.0
    retry: float = 300.0

    @property
    def units(self) -> int:
        """What is counted: copies for a recipient."""
        return self.messages * self.recipients


WORKLOADS = (
    Workload("W1", "4 KiB, a connection each", 5000),
    Workload("W1b", "4 KiB, sessions reused", 5000, is_kept=True),
    Workload("W2", "100 KiB, a connection each", 1000, octets=100 * KIB),
    Workload(
        "W3", "4 KiB in one session: final dot to 250", 2000, sessions=1, course=Course.LATENCY
    ),
    Workload("W4", "200 recipients, 4 KiB; counted by recipient", 100, recipients=200),
    Workload(
        "W5",
        "4 KiB to a sink of 200 ms a reply, 100 connections",
        1000,
        connections=100,
        is_kept=True,
        reply_delay=0.2,
    ),
    Workload(
        "W6",
        "4 KiB put off; a restart; all delivered",
        20_000,
        is_kept=True,
        course=Course.DEFERRAL,
        retry=90.0,
    ),
    Workload("W7", "4 KiB as W1, signed: DKIM, RSA-2048", 5000, is_signed=True),
    Workload("W8", "4 KiB as W1, syncs that take 5 ms more", 2000, sync_delay=0.005),
    Workload("W9", "20 MB, one session", 10, octets=20_000_000, sessions=1, is_kept=True),
)

QUICK = 10  # a quick run does this part of the work
_LEAST = 2  # messages


def chosen(names: Sequence[str], *, is_quick: bool) -> list[Workload]:
    """Those of these names, in the table's order; all for no names. Raises BenchError."""
    known = {workload.name for workload in WORKLOADS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise BenchError(f"expected workloads of {', '.join(sorted(known))}, found {unknown}")
    wanted = [workload for workload in WORKLOADS if not names or workload.name in names]
    return [_quick(workload) for workload in wanted] if is_quick else wanted


def shortened(workload: Workload, messages: int) -> Workload:
    """The same with no more than so many messages."""
    return replace(workload, messages=max(_LEAST, min(workload.messages, messages)))


def _quick(workload: Workload) -> Workload:
    short = shortened(workload, workload.messages // QUICK)
    return replace(short, retry=workload.retry / 6)
