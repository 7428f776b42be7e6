"""What speaks against the server after a soak, in words; nothing, if all is well."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mta.edge.spool.survey import QUARANTINE

from tests.bench.soak.mood import Point
from tests.bench.soak.samples import MB, Sample, spool_files
from tests.e2e.copies import Copy
from tests.e2e.evidence import Evidence, harmed, lost, misguided, needless, repeats, undead
from tests.e2e.traffic import Sent

# Octets by which a later reading of the memory, at the same load, may be above the first. A
# backlog fills the spool's cache of contents (64 MiB) and has tens of contents on their way (some
# are of 2 MiB), and the allocator may keep all of that when it is empty again. A hundred
# messages a second that leave 2 KiB each behind are 120 MB in ten minutes.
MEMORY_SLACK = 96 * 1024 * 1024
# Threads come as they are needed; the spool's pool for files has four, and its journal has three
# more on a slow disk, which the warm-up may not have called for.
THREAD_SLACK = 7

# Seconds within which a kill may come between the exchanger's reply and the server's record of it:
# a few hundredths on a quiet machine, and more where client, server and exchanger share busy cores.
KILL_WINDOW = 2.0

_SHOWN = 5  # of what speaks against us, of each kind


def of_mail(
    sent: Sequence[Sent], found: Evidence, kills: Sequence[float], events: Path
) -> Iterator[str]:
    """Every message that got 250 arrived whole or was reported; nothing was sent needlessly."""
    copies = [*found.mail, *found.reports]
    charges: Mapping[str, Sequence[object]] = {
        "accepted recipients have neither the message nor a report": lost(sent, found),
        "messages are not what was sent": harmed(sent, found),
        "messages or reports went astray": misguided(sent, found),
        "messages were repeated without need": needless(found.mail, kills, KILL_WINDOW),
        "reports were repeated without need": needless(found.reports, kills, KILL_WINDOW),
        "messages came after their end": undead(events_in(events), copies),
    }
    for what, cases in charges.items():
        if cases:
            yield f"{len(cases)} {what}: {'; '.join(map(_named_case, cases[:_SHOWN]))}"


def of_memory(calm: Sequence[Sample]) -> Iterator[str]:
    """No reading is far above the first one, which was taken at the same load.

    By RSS: what a process shares with others weighs less in its PSS while these others run.
    """
    first, *later = calm
    bound = first.rss + MEMORY_SLACK
    for sample in later:
        if sample.rss > bound:
            yield (
                f"memory grew: {sample.rss / MB:.1f} MB {sample.at:.0f} s after the beginning,"
                f" {first.rss / MB:.1f} MB at first; at most {bound / MB:.1f} MB are right"
            )


def of_rest(idle: Sample, end: Sample) -> Iterator[str]:
    """Once all is drained, no more is open and no more threads run than before the load."""
    yield from excess(idle.descriptors, end.descriptors)
    if end.threads > idle.threads + THREAD_SLACK:
        yield f"{end.threads} threads run, {idle.threads} before the load"


def excess(idle: Mapping[str, int], now: Mapping[str, int]) -> Iterator[str]:
    """Where more is open now than when nothing was done, by kinds of descriptors."""
    for kind, number in now.items():
        before = idle.get(kind, 0)
        if number > before:
            yield f"{number} descriptors of the kind {kind} are open, {before} before the load"


def of_spool(spool: Path, segments: int) -> Iterator[str]:
    """Nothing waits, nothing is in quarantine, and at most so many segments are left."""
    journal, waiting = spool_files(spool)
    if len(journal) > segments:
        yield f"{len(journal)} segments are left, expected at most {segments}: {_named(journal)}"
    if waiting:
        yield f"{len(waiting)} files are left in waiting/: {_named(waiting)}"
    spoiled = list((spool / QUARANTINE).iterdir())
    if spoiled:
        yield f"{len(spoiled)} files are in quarantine: {_named(spoiled)}"


def of_log(log: Path) -> Iterator[str]:
    """The server complained of nothing: all that went wrong was the world's."""
    lines = log.read_text(errors="replace").splitlines()
    bad = [line for line in lines if line.startswith(("ERROR", "CRITICAL", "Traceback"))]
    if bad:
        yield f"{len(bad)} errors in the server's log: {'; '.join(bad[:_SHOWN])}"


def of_course(counts: Counter[str]) -> Iterator[str]:
    """What was meant to go wrong did: a soak in fair weather proves nothing."""
    for what in (*(f"lost {point}" for point in Point), "stalled", "put off", "refused"):
        if counts[what] == 0:
            yield f"the exchanger never did this: {what}; the soak is too short to say anything"


def counted(sent: Sequence[Sent], found: Evidence, kills: Sequence[float]) -> dict[str, int]:
    """How much there was of everything."""
    again = [first for first, _ in repeats(found.mail)]
    return {
        "begun": len(sent),
        "accepted": sum(message.id is not None for message in sent),
        "accepted with a file of their own": sum(m.is_large and m.id is not None for m in sent),
        "delivered": len({copy.test_id for copy in found.mail}),
        "reported": len({copy.test_id for copy in found.reports}),
        "kills": len(kills),
        "repeats": len(again),
        "repeats after no reply": sum(not first.is_answered for first in again),
        "repeats after a reply": sum(first.is_answered for first in again),
        "repeats of reports": len(repeats(found.reports)),
    }


def events_in(path: Path) -> Iterator[dict[str, str]]:
    """The events in a file; a kill may have cut one short."""
    with path.open(errors="replace") as lines:
        for line in lines:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue


def _named_case(case: object) -> str:
    """A copy, a copy and the one after it, or a message's mark and its recipient."""
    match case:
        case Copy():
            who = ", ".join(case.failed or case.recipients)
            return f"{case.test_id} ({case.id}) for {who}, whole at {case.whole_at:.3f}"
        case Copy() as first, Copy() as second:
            reply = f"answered at {first.answered_at:.3f}, again at {second.whole_at:.3f}"
            return f"{_named_case(first)}, {reply}"
        case test_id, who:
            return f"{test_id} for {who}"
    return str(case)


def _named(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths[:_SHOWN])
