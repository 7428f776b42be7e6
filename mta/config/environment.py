"""Settings from the environment: MTA_DELIVERY__MODE=smarthost is delivery.mode.

Lists and whole sections are JSON; one entry of a list has its number for a name, as in
MTA_LISTEN__0__ADDRESS.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mta.config.brief import CONFIG_VARIABLE, PREFIX
from mta.config.settings import Settings

# A service named "mta" makes Kubernetes and old Docker links set these; they are none of ours.
_FOREIGN = re.compile(r"MTA_(SERVICE_.*|PORT(_.*)?)")


def from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    """The settings that the environment gives, as plain data."""
    if not any(name.startswith(PREFIX) and name != CONFIG_VARIABLE for name in environment):
        return {}
    # Where it is wanted alone: it takes 7 MB for as long as the server runs.
    from mta.config.variables import Variables

    return Variables(environment)()


def foreign_names(environment: Mapping[str, str]) -> Iterator[str]:
    """Variables with our prefix that name no setting."""
    for name in sorted(environment):
        if not name.startswith(PREFIX) or _FOREIGN.fullmatch(name) or name == CONFIG_VARIABLE:
            continue
        if name.removeprefix(PREFIX).lower().partition("__")[0] not in Settings.model_fields:
            yield name


def overlaid(below: object, above: object) -> Any:  # noqa: ANN401 - plain data, before it is checked
    """`above` laid over `below`: sections key by key, entries of a list by their number."""
    if not isinstance(above, Mapping):
        return above
    is_numbered = bool(above) and all(str(key).isdecimal() for key in above)
    if is_numbered and (isinstance(below, list) or below is None):
        return _with_entries(below or [], above)
    if not isinstance(below, Mapping):
        return {key: overlaid(None, value) for key, value in above.items()}
    return {**below, **{key: overlaid(below.get(key), value) for key, value in above.items()}}


def _with_entries(below: list[object], above: Mapping[str, object]) -> list[object]:
    entries = list(below)
    for place, value in sorted((int(key), value) for key, value in above.items()):
        if place < len(entries):
            entries[place] = overlaid(entries[place], value)
        else:  # a gap is closed: MTA_LISTEN__5__… alone makes one listener
            entries.append(overlaid(None, value))
    return entries
