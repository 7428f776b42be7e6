"""A world and a real server, as the tests of the whole have them."""

from tests.e2e.conftest import internet, own, server

__all__ = ["internet", "own", "server"]
