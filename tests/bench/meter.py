"""What a tree of processes costs: CPU, memory and syncs, read from /proc and from strace."""

import os
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

INTERVAL = 0.05  # seconds between looks at the memory, at least,
SHARE = 0.02  # and as many more as make looking no more than this part of the time
_TICKS = os.sysconf("SC_CLK_TCK")
_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)

SYNCS = ("fsync", "fdatasync", "sync_file_range", "syncfs", "sync", "msync")
_SYNC = re.compile(rb"\b(?:" + "|".join(SYNCS).encode() + rb")\(")


@dataclass(frozen=True, slots=True)
class Process:
    """One line of /proc. `seconds` is its CPU and that of its children that have ended."""

    id: int
    name: str
    parent: int
    seconds: float


def parse_stat(line: str) -> Process:
    """Read /proc/PID/stat; the name may hold anything, blanks and parentheses too (proc(5))."""
    id, _, rest = line.partition(" (")
    name, _, rest = rest.rpartition(") ")
    fields = rest.split()
    return Process(int(id), name, int(fields[1]), sum(map(int, fields[11:15])) / _TICKS)


def processes() -> Iterator[Process]:
    """All that run now."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                yield parse_stat(Path(f"/proc/{entry}/stat").read_text(errors="replace"))


def tree(root: int, found: Iterable[Process]) -> list[Process]:
    """`root` and all below it, without strace, which is ours."""
    children: dict[int, list[Process]] = {}
    members = []
    for process in found:
        children.setdefault(process.parent, []).append(process)
        if process.id == root:
            members.append(process)
    for process in members:  # grows while we walk
        members.extend(children.get(process.id, ()))
    return [process for process in members if process.name != "strace"]


def cpu_seconds(root: int) -> float:
    """CPU of the tree so far, user and system, with what has ended below it."""
    return sum(process.seconds for process in tree(root, processes()))


def pss(root: int) -> int:
    """Memory of the tree in octets: what is shared is split among those who share it."""
    total = 0
    for process in tree(root, processes()):
        with suppress(OSError):
            found = _PSS.search(Path(f"/proc/{process.id}/smaps_rollup").read_bytes())
            total += int(found[1]) * 1024 if found else 0
    return total


def settled_cpu_seconds(root: int, within: float = 10.0) -> float:
    """CPU of the tree once it rests: what is done after delivery belongs to a message too."""
    ends_at = time.monotonic() + within
    last = cpu_seconds(root)
    while time.monotonic() < ends_at:
        time.sleep(0.4)
        now = cpu_seconds(root)
        if now - last < 0.02:  # a thing or two that beats once a second
            return now
        last = now
    return last


class PeakMemory:
    """The most memory that a tree had while this is entered, in octets."""

    def __init__(self, root: int) -> None:
        self.octets = 0
        self._root = root
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()
        self.look()

    def look(self) -> None:
        """Measure now too."""
        self.octets = max(self.octets, pss(self._root))

    def _watch(self) -> None:
        pause = INTERVAL
        while not self._is_over.wait(pause):
            began_at = time.monotonic()
            self.look()
            pause = max(INTERVAL, (time.monotonic() - began_at) / SHARE)


def counting_syncs(trace: Path) -> tuple[str, ...]:
    """The command in front of a server that writes its syncs to `trace`."""
    return _strace("-e", f"trace={','.join(SYNCS)}", "-o", str(trace))


def slow_syncs(seconds: float) -> tuple[str, ...]:
    """The command in front of a server that gives it a disk whose sync takes `seconds` more."""
    inject = f"inject=fsync,fdatasync:delay_exit={seconds * 1e6:.0f}"
    return _strace("-e", "trace=fsync,fdatasync", "-e", inject, "-o", "/dev/null")


def _strace(*options: str) -> tuple[str, ...]:
    # With a filter in the kernel, calls other than these run at their full speed.
    return ("strace", "-f", "--seccomp-bpf", "-qqq", "-e", "signal=none", *options)


def count_syncs(trace: bytes) -> int:
    """How many syncs were begun; a line that says "resumed" is the rest of one."""
    return len(_SYNC.findall(trace))
