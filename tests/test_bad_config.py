"""One file for each kind of mistake; the comments at its top are the messages expected.

FILE stands for the file's path and FOLDER for its folder. A comment that is empty or in
parentheses is for readers.
"""

from pathlib import Path

import pytest

from mta.config import ConfigError, load_settings

FILES = sorted((Path(__file__).parent / "bad_config").glob("*.yaml"))


def expected(path: Path) -> list[str]:
    messages = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        text = line.removeprefix("#").strip()
        if text and not text.startswith("("):
            messages.append(text.replace("FILE", str(path)).replace("FOLDER", str(path.parent)))
    return messages


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_bad_configuration_says_everything_that_is_wrong_with_it(path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(path, {})

    assert sorted(caught.value.problems) == sorted(expected(path))


def test_there_is_a_file_for_each_kind_of_mistake() -> None:
    assert len(FILES) > 50
