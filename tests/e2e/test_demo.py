"""The demonstration, as `make demo` runs it."""

import sys
from dataclasses import replace

import pytest

from mta.sandbox.characters import CHARACTERS
from mta.sandbox.demo import main
from tests.e2e.checks import run

NAMES = ("clear.test", "picky.test")


def test_the_demonstration_ends_well() -> None:
    done = run(sys.executable, "-m", "mta.sandbox.demo", within=50)

    shown = done.stdout.decode()
    assert "anna@accept.test" in shown
    assert "This is the mail server mail.app.test" in shown


def test_the_demonstration_fails_where_mail_is_not_as_it_should_be(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clear, picky = (character for character in CHARACTERS if character.domain in NAMES)
    wrong = replace(clear, expected=(replace(clear.expected[0], tls=True),))

    status = main([wrong, picky])

    assert status == 1
    assert capsys.readouterr().err == (
        "NOT AS IT SHOULD BE: anna@clear.test: expected TLS, found none\n"
    )
