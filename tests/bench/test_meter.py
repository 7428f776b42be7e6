"""Reading /proc and traces."""

import os

from tests.bench.meter import PeakMemory, Process, count_syncs, cpu_seconds, parse_stat, pss, tree

TICKS = os.sysconf("SC_CLK_TCK")
STAT = "42 ({name}) S 7 42 42 0 -1 4194560 9 8 0 0 {u} {s} {cu} {cs} 20 0 1 0 99 1000 10\n"


def process(id: int, parent: int, name: str = "x") -> Process:
    return Process(id, name, parent, 0.0)


def test_a_process_counts_its_time_and_that_of_its_ended_children() -> None:
    line = STAT.format(name="smtpd", u=TICKS, s=2 * TICKS, cu=3 * TICKS, cs=4 * TICKS)

    assert parse_stat(line) == Process(42, "smtpd", 7, 10.0)


def test_a_name_may_hold_blanks_and_parentheses() -> None:
    line = STAT.format(name="a) R 1 (b", u=0, s=0, cu=0, cs=0)

    assert parse_stat(line) == Process(42, "a) R 1 (b", 7, 0.0)


def test_a_tree_is_all_below_its_root_in_whatever_order_they_come() -> None:
    found = [process(4, 3), process(3, 2), process(2, 1), process(5, 1), process(6, 2)]

    assert sorted(p.id for p in tree(2, found)) == [2, 3, 4, 6]


def test_strace_is_not_counted_but_what_it_runs_is() -> None:
    found = [process(1, 0, "strace"), process(2, 1, "mta")]

    assert [p.id for p in tree(1, found)] == [2]


def test_syncs_are_counted_where_they_begin() -> None:
    trace = (
        b"10 fsync(13) = 0\n"
        b"11 fdatasync(4 <unfinished ...>\n"
        b"10 sync_file_range(4, 0, 0, 7) = 0\n"
        b"11 <... fdatasync resumed>) = 0\n"
    )

    assert count_syncs(trace) == 3


def test_a_process_of_ours_takes_time_and_memory() -> None:
    root = os.getpid()

    with PeakMemory(root) as memory:
        pass

    assert cpu_seconds(root) > 0
    assert memory.octets >= pss(root) // 2 > 0
