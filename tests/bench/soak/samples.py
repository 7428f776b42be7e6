"""What the server has at a moment: memory, descriptors, threads, files of its spool."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mta.edge.spool.survey import JOURNAL, WAITING

from tests.bench.meter import pss

MB = 1e6
_STATUS = re.compile(r"^(VmRSS|Threads):\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look, `at` seconds after the beginning. Memory is in octets, rates are a second's.

    `life` counts the server's starts. `descriptors` are by kind: socket, pipe, file, other.
    """

    at: float
    spell: str
    life: int
    pss: int
    rss: int
    threads: int
    descriptors: dict[str, int]
    owed: int
    accepted: float
    delivered: float
    segments: int
    waiting: int

    @property
    def open(self) -> int:
        """All descriptors."""
        return sum(self.descriptors.values())


HEAD = (
    "    at  spell               life  PSS MB  RSS MB  threads  open  sockets"
    "    owed  taken/s  given/s  segments  waiting"
)


def row(sample: Sample) -> str:
    """A line below `HEAD`."""
    return (
        f"{sample.at:6.0f}  {sample.spell:18}  {sample.life:4}  {sample.pss / MB:6.1f}"
        f"  {sample.rss / MB:6.1f}  {sample.threads:7}  {sample.open:4}"
        f"  {sample.descriptors.get('socket', 0):7}  {sample.owed:6}  {sample.accepted:7.0f}"
        f"  {sample.delivered:7.0f}  {sample.segments:8}  {sample.waiting:7}"
    )


@dataclass(frozen=True, slots=True)
class Looks:
    """What /proc says of a process; all naught for one that is gone."""

    pss: int = 0
    rss: int = 0
    threads: int = 0
    descriptors: tuple[str, ...] = ()

    @property
    def by_kind(self) -> dict[str, int]:
        """How many descriptors there are of each kind."""
        return dict(Counter(map(kind_of, self.descriptors)))


def look_at(process: int) -> Looks:
    """Read it now."""
    folder = Path(f"/proc/{process}")
    try:
        found = {name: int(number) for name, number in _STATUS.findall(_read(folder / "status"))}
        links = tuple(_links(folder / "fd"))
    except OSError:
        return Looks()
    return Looks(pss(process), found.get("VmRSS", 0) * 1024, found.get("Threads", 0), links)


def kind_of(link: str) -> str:
    """What a descriptor is, by what its link in /proc says, as in "socket:[5]"."""
    kind, colon, _ = link.partition(":")
    if link.startswith("/"):
        return "file"
    return kind if colon and kind in ("socket", "pipe") else "other"


def spool_files(spool: Path) -> tuple[Sequence[Path], Sequence[Path]]:
    """The segments of the journal, and all files of mail that waits."""
    return sorted((spool / JOURNAL).glob("*")), sorted((spool / WAITING).glob("*/*"))


def _read(path: Path) -> str:
    return path.read_text(errors="replace")


def _links(folder: Path) -> Sequence[str]:
    links = []
    for entry in os.listdir(folder):
        with suppress(FileNotFoundError):  # it was closed meanwhile
            links.append(os.readlink(folder / entry))
    return links
