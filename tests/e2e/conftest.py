"""One world and one real server for all tests of a module."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mta.sandbox.characters import CHARACTERS, Character
from mta.sandbox.exchangers import Manners
from mta.sandbox.internet import Internet
from mta.sandbox.process import ServerProcess

SLOWISH = Character("slowish.test", "takes its time", (), (Manners(delay=0.3),))
MANY = tuple(Character(f"d{number:02}.test", "accepts", ()) for number in range(50))


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    """The sandbox's characters, and more domains."""
    with Internet(tmp_path_factory.mktemp("internet"), (*CHARACTERS, SLOWISH, *MANY)) as world:
        yield world


@pytest.fixture(scope="module")
def server(internet: Internet) -> Iterator[ServerProcess]:
    """`mta serve` in that world."""
    folder = internet.world.folder
    with ServerProcess(internet.world.settings(), folder) as process:
        yield process


@pytest.fixture
def own(tmp_path: Path, internet: Internet) -> Iterator[ServerProcess]:
    """A server that one test may treat as it likes: not started yet, with a spool of its own."""
    settings = internet.world.settings() | {"spool": str(tmp_path / "spool")}
    with closing(ServerProcess(settings, tmp_path)) as process:
        yield process
