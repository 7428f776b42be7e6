"""Which workloads are run, and how smtp-source is called for them."""

import pytest

from tests.bench.children import BenchError
from tests.bench.load import source_command
from tests.bench.workloads import WORKLOADS, Workload, chosen


def test_without_names_all_are_run() -> None:
    assert chosen([], is_quick=False) == list(WORKLOADS)


def test_named_ones_come_in_the_order_of_the_table() -> None:
    assert [w.name for w in chosen(["W4", "W1b"], is_quick=False)] == ["W1b", "W4"]


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(BenchError, match="W99"):
        chosen(["W1", "W99"], is_quick=False)


def test_a_quick_run_does_a_tenth_but_something() -> None:
    found = {w.name: w.messages for w in chosen([], is_quick=True)}

    assert found["W1"] == 500
    assert found["W9"] == 2


def test_units_are_copies_for_a_recipient() -> None:
    assert Workload("", "", 100, recipients=200).units == 20_000


def test_smtp_source_is_called_with_no_more_sessions_than_messages() -> None:
    command = source_command(Workload("", "", 5, recipients=3, is_kept=True), 2525)

    assert command[:9] == ["smtp-source", "-m", "5", "-s", "5", "-l", "4096", "-r", "3"]
    assert "-d" in command
    assert command[-1] == "127.0.0.1:2525"


def test_a_connection_each_is_smtp_sources_default() -> None:
    assert "-d" not in source_command(Workload("", "", 5), 2525)
