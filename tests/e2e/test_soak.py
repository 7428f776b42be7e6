"""A short soak: some seconds of what `make soak` does for minutes or hours."""

from pathlib import Path

import pytest

from tests.bench.soak.run import Terms, shown, soak


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_all_holds_after_some_seconds_of_bad_weather(tmp_path: Path) -> None:
    terms = Terms(seconds=12.0, rate=80.0, patience=1.0, waits_for_journal=False)

    result = soak(terms, tmp_path)

    print(*shown(result), sep="\n")
    assert result.objections == []
