"""The law of imports: each room may import only what its row says."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "mta"
WORLDLY = {"asyncio", "os", "time", "random", "secrets", "socket", "subprocess", "threading"}

HALVES = {"pydantic_core": "pydantic"}  # one library under two names

# What a room may import of the house, and whether the outside is open to it.
MODEL = ("mta.model",)
RULES = (*MODEL, "mta.rules")
FLOW = (*RULES, "mta.flow")
EVERYTHING = ("mta",)


def modules(room: str) -> list[Path]:
    return sorted((HOUSE / room).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the room"
            assert node.module is not None
            yield node.module


def is_in(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(room + ".") for room in rooms)


def offences(path: Path, allowed: tuple[str, ...], forbidden: set[str]) -> list[str]:
    found = []
    for name in imports(path):
        top = name.partition(".")[0]
        if top == "mta":
            if not is_in(name, allowed):
                found.append(name)
        elif top not in sys.stdlib_module_names or top in forbidden:
            found.append(name)
    return found


@pytest.mark.parametrize("path", modules("model"), ids=str)
def test_model_imports_only_model(path: Path) -> None:
    assert offences(path, MODEL, WORLDLY) == []


@pytest.mark.parametrize("path", modules("rules"), ids=str)
def test_rules_import_only_model_and_rules(path: Path) -> None:
    assert offences(path, RULES, WORLDLY) == []


@pytest.mark.parametrize("path", modules("flow"), ids=str)
def test_flow_imports_neither_edge_nor_third_party(path: Path) -> None:
    assert offences(path, FLOW, {"os", "time", "random", "secrets", "socket"}) == []


def own_edge(path: Path) -> str:
    """The edge that a module belongs to: a module of its own, or a folder of one subject."""
    return "mta.edge." + path.relative_to(HOUSE / "edge").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules("edge"), ids=str)
def test_an_edge_imports_neither_flow_nor_another_edge(path: Path) -> None:
    house = [name for name in imports(path) if name.partition(".")[0] == "mta"]

    assert [name for name in house if not is_in(name, (*RULES, own_edge(path)))] == []


@pytest.mark.parametrize("path", modules("edge"), ids=str)
def test_an_edge_imports_one_third_party_library(path: Path) -> None:
    names = {name.partition(".")[0] for name in imports(path)}
    outside = {HALVES.get(name, name) for name in names} - sys.stdlib_module_names - {"mta"}

    assert len(outside) <= 1


@pytest.mark.parametrize("path", modules("client"), ids=str)
def test_the_client_imports_nothing_of_the_server(path: Path) -> None:
    house = [name for name in imports(path) if name.partition(".")[0] == "mta"]

    assert [name for name in house if not is_in(name, ("mta.client",))] == []


def test_third_party_libraries_enter_by_edge_config_cli_app_and_sandbox_alone() -> None:
    inner = [path for room in ("model", "rules", "flow") for path in modules(room)]

    assert [path for path in inner if offences(path, EVERYTHING, set())] == []
