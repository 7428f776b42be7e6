"""Full collections stay short, and nothing is passed over for ever."""

import gc
from collections.abc import Iterator

import pytest

from mta.wiring.pauses import FEW, LONG, ShortPauses


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def frozen_after(took: float, waiting: int) -> int:
    """How many objects are passed over after a full collection that took so long."""
    moments = iter([0.0, took])
    with ShortPauses(lambda: waiting, clock=lambda: next(moments)):
        gc.collect()
    return gc.get_freeze_count()


def test_what_a_long_collection_found_is_passed_over_by_the_next() -> None:
    assert frozen_after(LONG * 2, waiting=FEW) > 0


def test_a_short_collection_passes_nothing_over() -> None:
    assert frozen_after(LONG / 2, waiting=FEW) == 0


def test_when_few_messages_wait_all_is_looked_at_again() -> None:
    gc.freeze()

    assert frozen_after(LONG / 2, waiting=FEW - 1) == 0


def test_it_ends_when_the_server_does() -> None:
    before = list(gc.callbacks)

    frozen_after(0.0, waiting=0)

    assert gc.callbacks == before
