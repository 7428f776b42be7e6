"""Whatever comes, each invariant holds: what `make fuzz` tries for long, tried for a moment."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS

CASES = [(name, seed) for name in TARGETS for seed in SEEDS[name]]


@pytest.mark.parametrize(("name", "seed"), CASES)
def test_the_invariant_holds_for_what_is_well_formed(name: str, seed: bytes) -> None:
    TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=40)
@given(data=st.data())
def test_the_invariant_holds_for_what_is_cut_and_joined(name: str, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(SEEDS[name]))
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(seed))] * 2)))

    TARGETS[name](seed[:begin] + data.draw(st.binary(max_size=8)) + seed[end:])
