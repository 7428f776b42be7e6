"""What is remembered of domains' TLS over a restart, in a folder: policies, domains, hosts, counts.

Every function raises OSError; one that reads raises ValueError for a file that is none of ours.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mta.model.domain import TlsFailure
from mta.model.policy import HeldPolicy, StsMode, StsPolicy
from mta.model.tlsreport import Applied, Counted, Failing, PolicyKind

from mta.rules.tls.memory import Broken, Seen

from mta.edge.memory.rows import read_rows, write_rows

T = TypeVar("T")

FOLDER = "tls-memory"  # in the spool's folder
_FORGET = "forget"  # a file in it is named by the domain that is to be let go


def read_policies(folder: Path) -> dict[str, HeldPolicy]:
    """The policies of domains."""
    return dict(_read(folder / "policies.json", _policy))


def write_policies(folder: Path, held: Mapping[str, HeldPolicy]) -> None:
    """Replace the file, whole or not at all; a power cut may bring the old one back."""
    rows = (
        [
            domain,
            one.id,
            one.fetched_at,
            one.used_at,
            one.policy.mode,
            one.policy.max_age,
            one.policy.mx,
        ]
        for domain, one in held.items()
    )
    write_rows(folder / "policies.json", rows)


def _policy(row: Sequence[Any]) -> tuple[str, HeldPolicy]:
    domain, id, fetched_at, used_at, mode, max_age, mx = row
    policy = StsPolicy(StsMode(mode), tuple(map(str, mx)), int(max_age))
    return str(domain), HeldPolicy(policy, str(id), float(fetched_at), float(used_at))


def read_seen(folder: Path) -> list[tuple[str, Seen]]:
    """What TLS domains had."""
    return _read(folder / "domains.json", lambda row: (str(row[0]), Seen(*map(float, row[1:]))))


def read_broken(folder: Path) -> list[tuple[str, Broken]]:
    """The hosts whose handshakes fail."""
    return _read(folder / "hosts.json", lambda row: (row[0], Broken(float(row[1]), int(row[2]))))


def write_memory(folder: Path, seen: Mapping[str, Seen], broken: Mapping[str, Broken]) -> None:
    """Replace both files."""
    domains = ([domain, one.tls_at, one.proof_at] for domain, one in seen.items())
    write_rows(folder / "domains.json", domains)
    hosts = ([host, one.failed_at, one.in_clear] for host, one in broken.items())
    write_rows(folder / "hosts.json", hosts)


def read_counted(folder: Path) -> list[Counted]:
    """What was counted and is not reported yet."""
    return _read(folder / "counts.json", _counted)


def write_counted(folder: Path, counted: Iterable[Counted]) -> None:
    """Replace the file."""
    rows = (
        [
            one.day,
            one.applied.domain,
            one.applied.kind,
            one.applied.lines,
            one.applied.mx,
            one.successes,
            [[f.kind, f.host, f.address, f.text, count] for f, count in one.failures],
        ]
        for one in counted
    )
    write_rows(folder / "counts.json", rows)


def _counted(row: Sequence[Any]) -> Counted:
    day, domain, kind, lines, mx, successes, failures = row
    applied = Applied(domain, PolicyKind(kind), tuple(lines), tuple(mx))
    found = [(Failing(TlsFailure(one[0]), *one[1:4]), int(one[4])) for one in failures]
    return Counted(int(day), applied, int(successes), tuple(found))


def make_room(folder: Path) -> None:
    """Have the folder, and one in it for wishes: whoever runs a command may be somebody else."""
    (folder / _FORGET).mkdir(mode=0o700, parents=True, exist_ok=True)


def ask_to_forget(folder: Path, domain: str) -> bool:
    """Leave word for whoever keeps this folder to let a domain go; False where nobody does."""
    if not (folder / _FORGET).is_dir():
        return False
    (folder / _FORGET / domain).touch()
    return True


def asked_to_forget(folder: Path) -> list[str]:
    """The domains that were asked for, each once."""
    try:
        found = list((folder / _FORGET).iterdir())
    except FileNotFoundError:
        return []
    for wish in found:
        wish.unlink()
    return [wish.name for wish in found]


def _read(path: Path, made: Callable[[Sequence[Any]], T]) -> list[T]:
    try:
        return [made(row) for row in read_rows(path)]
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError(f"expected what we wrote in {path}: {error}") from error
