"""Where it is measured: one line, without which no figure means anything."""

import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

_SYNCS = 100  # tried, to say how fast the disk is


def machine_line(folder: Path) -> str:
    """Cores, model, memory, kernel, the disk under `folder` and what a sync costs there."""
    disk = (
        f"{filesystem(folder, Path('/proc/mounts').read_text())} ({_sync_ms(folder):.2f} ms a sync)"
    )
    return ", ".join(
        (
            f"{os.cpu_count()} cores",
            _first("/proc/cpuinfo", "model name"),
            f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
            f"Linux {platform.release()}",
            disk,
            f"Python {platform.python_version()}",
            f"uvloop {version('uvloop')}",
        )
    )


def busy() -> str | None:
    """Says so where others are at work here: what is measured then is worth little."""
    load = os.getloadavg()[0]
    cores = os.cpu_count() or 1
    return (
        f"this machine is busy (load {load:.1f}): see nothing in these figures"
        if (load > cores / 2)
        else None
    )


def filesystem(folder: Path, mounts: str) -> str:
    """The kind of file system under a folder, by the text of /proc/mounts, as in "ext4"."""
    found = [line.split()[1:3] for line in mounts.splitlines()]
    inside = [(len(at), kind) for at, kind in found if folder.resolve().is_relative_to(at)]
    return max(inside, key=lambda item: item[0])[1] if inside else "unknown"


def _first(path: str, field: str) -> str:
    for line in Path(path).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return platform.machine()


def _sync_ms(folder: Path) -> float:
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_SYNCS):
            file.write(b"x" * 4096)
            file.flush()
            began_at = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began_at)
    return median(times) * 1000
