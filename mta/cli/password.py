"""A new password, from whoever types it or from a file."""

import getpass
import sys
import unicodedata
from pathlib import Path

from mta.rules.submission.sasl import prepared_password

from mta.edge.passwords import hash_of

from mta.config.loading import MAX_SECRET, secret_in

SHORTEST = 8  # characters, NIST SP 800-63B §5.1.1.1


class PoorPassword(Exception):
    """There is no password, or not one to use; the message says why."""


def hash_of_new(file: Path | None) -> str:
    """The hash of a password: that in a file, or one that is asked for. Raises PoorPassword."""
    password = prepared_password(_asked_for(file))
    if len(password) < SHORTEST:
        raise PoorPassword(f"expected a password of {SHORTEST} characters at least")
    if any(unicodedata.category(character) == "Cc" for character in password):
        raise PoorPassword("expected a password without control characters, on one line")
    return hash_of(password)


def _asked_for(file: Path | None) -> str:
    if file is not None:
        try:
            return secret_in(file)
        except ValueError as error:
            raise PoorPassword(str(error)) from error
    if not sys.stdin.isatty():
        return sys.stdin.read(MAX_SECRET).removesuffix("\n").removesuffix("\r")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise PoorPassword("the two are not the same; nothing is changed")
    return password
