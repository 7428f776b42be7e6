"""The configuration file as plain data: YAML, read safely and checked for what YAML forgives."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from mta.config.problems import ConfigError, Location, path_of

MAX_OCTETS = 256 * 1024
MAX_DEPTH = 16


def read_document(path: Path) -> dict[str, object]:
    """The file's keys and values; {} where it is empty.

    Raises ConfigError for what cannot be read, is too large or nested too deeply, has aliases
    (the stuff of YAML bombs), gives a key twice or one that is no text.
    """
    text = _text(path)
    try:
        return _mapping(text, path)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-13-45
        raise ConfigError([f"{path}{_place(error)}: expected YAML, {_reason(error)}"]) from error


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_OCTETS + 1)
        text = octets.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError([f"{path}: expected a readable file, {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: expected UTF-8, found an octet that is not"]) from error
    if len(octets) > MAX_OCTETS:
        raise ConfigError([f"{path}: expected at most {MAX_OCTETS} octets, found more"])
    return text


def _mapping(text: str, path: Path) -> dict[str, object]:
    _refuse_bombs(text, path)
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(
                [f"{path}: expected keys with values, as in hostname: mail.example.com"]
            )
        problems = list(_bad_keys(node, ()))
        if problems:
            raise ConfigError(problems)
        data: dict[str, object] = loader.construct_document(node)
    finally:
        loader.dispose()
    return data


def _refuse_bombs(text: str, path: Path) -> None:
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError([f"{path}:{line}: expected no aliases, found *{event.anchor}"])
        if depth > MAX_DEPTH:
            raise ConfigError([f"{path}:{line}: expected at most {MAX_DEPTH} levels, found more"])


def _bad_keys(node: yaml.Node, location: Location) -> Iterator[str]:
    """Every key below `node` that stands there twice, or is no text."""
    if isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            yield from _bad_keys(item, (*location, place))
    if not isinstance(node, yaml.MappingNode):
        return
    seen = set()
    for key, value in node.value:
        name = str(key.value)
        here = path_of((*location, name)) + f" (line {key.start_mark.line + 1})"
        if key.tag != "tag:yaml.org,2002:str":
            yield f"{here}: expected a text as the key"
        elif name in seen:
            yield f"{here}: expected each key once, found it again"
        seen.add(name)
        yield from _bad_keys(value, (*location, name))


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}:{mark.column + 1}" if mark else ""


def _reason(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error)
