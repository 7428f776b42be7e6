"""The demonstration, as `make demo` runs it."""

import sys

from tests.e2e.checks import run


def test_the_demonstration_ends_well() -> None:
    done = run(sys.executable, "-m", "mta.sandbox.demo", within=50)

    shown = done.stdout.decode()
    assert "anna@accept.test" in shown
    assert "This is the mail server mail.app.test" in shown
