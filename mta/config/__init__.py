"""config.yaml and the environment, read once into frozen settings, with all mistakes reported.

The names below are loaded when they are first used: pydantic takes a quarter of a second, and
`mta sendmail` does without.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mta.config.checks import warnings
    from mta.config.loading import load_settings
    from mta.config.problems import ConfigError
    from mta.config.settings import Settings

__all__ = ["ConfigError", "Settings", "load_settings", "warnings"]

_HOMES = {
    "ConfigError": "problems",
    "Settings": "settings",
    "load_settings": "loading",
    "warnings": "checks",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
