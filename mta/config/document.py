"""The configuration file as plain data: YAML, read safely, and checked for what YAML forgives."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from mta.config.problems import ConfigError, Location, path_of

MAX_OCTETS = 256 * 1024
MAX_DEPTH = 16


def read_document(path: Path, limit: int = MAX_OCTETS) -> tuple[dict[str, object], list[str]]:
    """The file's keys and values, {} where it is empty, and what is wrong with its keys.

    A key that stands there twice, or is no text, is reported and left out. Raises ConfigError
    for what cannot be read at all: a file that is too large, is no YAML, is nested too deeply or
    has aliases (the stuff of YAML bombs). `limit` is in octets.
    """
    text = _text(path, limit)
    try:
        return _mapping(text, path)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-13-45
        raise ConfigError([f"{path}{_place(error)}: expected YAML, {_reason(error)}"]) from error


def as_yaml(data: Mapping[str, object]) -> str:
    """Plain data as a configuration file has it."""
    text: str = yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=100)
    return text


def _text(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as file:
            octets = file.read(limit + 1)
        text = octets.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError([f"{path}: expected a readable file, {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: expected UTF-8, found an octet that is not"]) from error
    if len(octets) > limit:
        raise ConfigError([f"{path}: expected at most {limit} octets, found more"])
    return text


def _mapping(text: str, path: Path) -> tuple[dict[str, object], list[str]]:
    _refuse_bombs(text, path)
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}, []
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(
                [f"{path}: expected keys with values, as in hostname: mail.example.com"]
            )
        problems = list(_purged(node, ()))
        return loader.construct_document(node), problems
    finally:
        loader.dispose()


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


def _purged(node: yaml.Node, location: Location) -> Iterator[str]:
    """Take out of `node` every key that stands there twice, or is no text, and report it."""
    if isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            yield from _purged(item, (*location, place))
    if isinstance(node, yaml.MappingNode):
        kept: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            name = str(key.value)
            here = f"{path_of((*location, name))} (line {key.start_mark.line + 1})"
            if key.tag != "tag:yaml.org,2002:str":
                yield f"{here}: expected a text as the key"
            elif name in kept:
                yield f"{here}: expected each key once, found it again"
            else:
                kept[name] = (key, value)
                yield from _purged(value, (*location, name))
        node.value = list(kept.values())


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}:{mark.column + 1}" if mark else ""


def _reason(error: Exception) -> str:
    text = str(getattr(error, "problem", None) or error)
    return text.partition("\n")[0]
