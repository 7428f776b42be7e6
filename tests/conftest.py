"""What holds for all tests."""

import os

import pytest
from hypothesis import settings

# A slow machine is no failure. At home each run tries other examples; in CI all runs try the same,
# so that a change is judged by what it changed.
settings.register_profile("home", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "home")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the long tests counted: a proof by numbers should show its numbers."""
    for report in terminalreporter.stats.get("passed", []):
        if "slow" in report.keywords and report.capstdout:
            terminalreporter.section(report.nodeid, sep="-")
            terminalreporter.write(report.capstdout)
