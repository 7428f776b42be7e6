"""config.yaml and the environment, read once into frozen settings, with all mistakes reported."""

from mta.config.checks import warnings
from mta.config.loading import load_settings
from mta.config.problems import ConfigError
from mta.config.settings import Settings

__all__ = ["ConfigError", "Settings", "load_settings", "warnings"]
