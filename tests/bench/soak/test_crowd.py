"""What the crowd sends."""

import random

from tests.bench.soak.crowd import recipients_of, size_of
from tests.e2e.traffic import LARGE


def test_sizes_are_mixed_from_1_kib_to_2_mib() -> None:
    chance = random.Random(1)

    sizes = [size_of(chance) for _ in range(10_000)]

    assert min(sizes) >= 1024
    assert LARGE < max(sizes) <= 2 * LARGE
    assert 0.6 < sum(size <= 4096 for size in sizes) / len(sizes) < 0.9


def test_recipients_are_one_to_three_and_all_different() -> None:
    chance = random.Random(1)

    found = [recipients_of(str(number), chance) for number in range(1000)]

    assert {len(recipients) for recipients in found} == {1, 2, 3}
    assert all(len(set(recipients)) == len(recipients) for recipients in found)
    assert {who.partition("-")[0] for one in found for who in one} == {"ok", "later", "no"}
