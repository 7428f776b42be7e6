"""What holds for all tests."""

import os

from hypothesis import settings

# A slow machine is no failure. At home each run tries other examples; in CI all runs try the same,
# so that a change is judged by what it changed.
settings.register_profile("home", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "home")
